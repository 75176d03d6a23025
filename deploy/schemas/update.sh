#!/bin/sh
# Writes the schemas that the core bundles (daemon/core/src/schema/bundle/kubernetes-1.35.json.gz) from a running
# API server of that version (its own kinds only, whatever else is installed there):
#
#   deploy/schemas/update.sh <kubeconfig>           write the bundle
#   deploy/schemas/update.sh <kubeconfig> --check   compare it with the server, change nothing, exit 1 on a difference
#
# Needs kubectl, jq and gzip. The same server gives the same bytes.
set -eu

die() {
    echo "update.sh: $*" >&2
    exit 1
}

[ $# -ge 1 ] || die "usage: $0 <kubeconfig> [--check]"
kubeconfig=$1
mode=${2:-}
here=$(cd "$(dirname "$0")" && pwd)
bundle=$here/../../daemon/core/src/schema/bundle/kubernetes-1.35.json.gz
for program in kubectl jq gzip; do
    command -v "$program" >/dev/null || die "$program is not installed"
done

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT INT TERM
get() {
    kubectl --kubeconfig "$kubeconfig" get --raw "$1"
}

version=$(get /version | jq -r .gitVersion)
case $version in
v1.35.*) ;;
*) die "the server is $version; the bundle is of 1.35" ;;
esac

# The API server marks its own group versions "onstart"; those of custom and aggregated kinds have no place in the bundle.
own='kube-aggregator.kubernetes.io/automanaged=onstart'
get "/apis/apiregistration.k8s.io/v1/apiservices?labelSelector=$own" | jq -r '.items[].spec
    | if (.group // "") == "" then "/openapi/v3/api/\(.version)" else "/openapi/v3/apis/\(.group)/\(.version)" end' >"$work/paths"
# The kind that describes them does not describe itself.
echo /openapi/v3/apis/apiregistration.k8s.io/v1 >>"$work/paths"
count=0
total=$(wc -l <"$work/paths")
while IFS= read -r path; do
    count=$((count + 1))
    get "$path" >"$work/$(printf %03d "$count").json" || die "failed to read $path"
done <"$work/paths"

jq -c -s -S -f "$here/compact.jq" "$work"/[0-9]*.json >"$work/bundle"
kinds=$(jq '.paths | length' "$work/bundle")
if [ "$mode" = --check ]; then
    gzip -dc "$bundle" | cmp -s - "$work/bundle" || die "the bundle is not what $version serves"
    echo "the bundle is what $version serves: $total group versions, $kinds kinds"
    exit 0
fi
gzip -9nc "$work/bundle" >"$bundle"
echo "wrote $kinds kinds of $total group versions of $version: $(wc -c <"$bundle") bytes"
