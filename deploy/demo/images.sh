#!/usr/bin/env bash
# The images of the example: one static build of `shop`, packed once for each version, loaded into the local cluster.
#
#   images.sh build          builds the program and packs its images
#   images.sh load           and loads them into the cluster (again: changes nothing)
#   images.sh program        says where the program is
#
# Settings: LOCAL_CLUSTER (the program), CLUSTER (the cluster's name), IMAGES (where the archives go), VERSIONS.
# The versions differ in the baked variable VERSION only: enough to see which one answers, and one build serves all.
set -euo pipefail

root=$(cd "$(dirname "$0")/../.." && pwd)
# shellcheck source=deploy/demo/progress.sh
source "$root/deploy/demo/progress.sh"
local_cluster=${LOCAL_CLUSTER:-local-cluster}
cluster=${CLUSTER:-demo}
read -ra versions <<<"${VERSIONS:-1.0.0 1.1.0 1.2.0}"
# An explicit target keeps the flags away from build scripts, and its objects apart from those of other builds.
target=$(rustc -vV | sed -n 's/^host: //p')
build=${CARGO_TARGET_DIR:-$root/target}
program=$build/$target/sample/shop
images=${IMAGES:-$build/images}

compile() {
  (cd "$root" && RUSTFLAGS="-C target-feature=+crt-static" cargo build --locked --profile sample --target "$target" -p shop)
}

build() {
  echo "compiling the shop, one static program for all images"
  going_on "still compiling" compile
  mkdir -p "$images"
  local version archive
  for version in "${versions[@]}"; do
    archive=$images/shop-$version.tar
    if [ "$archive" -nt "$program" ]; then continue; fi
    "$local_cluster" pack-image --name "docker.io/local/shop:$version" --binary "$program" \
      --env "VERSION=$version" --out "$archive.new"
    mv "$archive.new" "$archive"
    echo "packed docker.io/local/shop:$version"
  done
}

load() {
  build
  local version
  for version in "${versions[@]}"; do
    "$local_cluster" load-image --name "$cluster" "$images/shop-$version.tar"
  done
}

case "${1:-}" in
  build) build ;;
  load) load ;;
  program) echo "$program" ;;
  *)
    echo "usage: images.sh build | load | program" >&2
    exit 64
    ;;
esac
