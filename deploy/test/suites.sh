#!/usr/bin/env bash
# Runs every test suite, each within its budget of seconds. A suite that fails or exceeds its budget fails the run; the others
# still run. Suites on a real Kubernetes get a cluster named `test`, apart from a demo's, which is ended in any case.
#
#   suites.sh sample   where a suite is large, a seeded sample of it
#   suites.sh full     all of it
#
# Tests are told by the environment: TIDEGATE_TEST (sample or full), TIDEGATE_TEST_KUBECONFIG (the cluster),
# TIDEGATE_KUBECTL (its kubectl). Only tests named `cluster` or `cluster_*` may use the cluster.
set -euo pipefail
exec < /dev/null
cd "$(dirname "${BASH_SOURCE[0]}")/../.."

case "${1:-}" in
  sample) scale=1 ;;
  full) scale=8 ;;
  *)
    echo "usage: suites.sh sample | full" >&2
    exit 64
    ;;
esac
amount=$1
cluster=${TIDEGATE_TEST_CLUSTER:-test}
# The cluster of the test of local-cluster itself.
life_cluster=life-test
build=${CARGO_TARGET_DIR:-$PWD/target}
local_cluster=$build/debug/local-cluster
# The first build of everything, on two slow cores.
build_seconds=2400
kubernetes_seconds=2400
# How long a suite over its budget has to end by itself.
grace_seconds=20

report=()
failed=0
running=
kubernetes=
has_cluster=

# Everything that a test starts has this in its environment, whoever its parent is.
mark=TIDEGATE_TEST_RUN=$$.$(date +%s)
folder=$(mktemp -d)
chmod 755 "$folder" # tests have servers of other users

# The ids of the processes with the mark.
# shellcheck disable=SC2317 # called by clean_up
marked() {
  local file
  for file in /proc/[0-9]*/environ; do
    if grep -zqxF "$mark" "$file" 2>/dev/null; then
      file=${file%/environ}
      echo "${file#/proc/}"
    fi
  done
}

# Ends what was started and is not over, however this ends.
# shellcheck disable=SC2317 # called by the trap
clean_up() {
  trap '' INT TERM
  local pid
  for pid in $running $kubernetes; do
    kill -TERM -- "-$pid" 2>/dev/null || true
    wait "$pid" 2>/dev/null || true
  done
  if [ -n "$has_cluster" ]; then
    "$local_cluster" down --name "$cluster" || true
    "$local_cluster" down --name "$life_cluster" || true
  fi
  for pid in $(marked); do
    echo "suites.sh: ends what a test left behind: $pid $({ tr '\0' ' ' < "/proc/$pid/cmdline"; } 2>/dev/null)" >&2
    kill -KILL "$pid" 2>/dev/null || true
  done
  rm -rf "$folder"
}
trap clean_up EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

# suite NAME BUDGET COMMAND...: runs the command in a process group of its own and writes down how it went.
suite() {
  local name=$1 budget=$2 code=0
  shift 2
  printf '\n== %s (at most %d s)\n' "$name" "$budget"
  local begun=$SECONDS
  timeout --kill-after="$grace_seconds" "$budget" "$@" &
  running=$!
  wait "$running" || code=$?
  running=
  local took=$((SECONDS - begun)) verdict=passed
  case $code in
    0) ;;
    124 | 137) verdict="OVER BUDGET" ;;
    *) verdict="FAILED ($code)" ;;
  esac
  [ "$code" = 0 ] || failed=1
  report+=("$(printf '%-30s %5d s of %5d s  %s' "$name" "$took" "$budget" "$verdict")")
  printf '== %s: %s in %d s of %d s\n' "$name" "$verdict" "$took" "$budget"
  return "$code"
}

# The report, and the end of this script with its result.
finish() {
  printf '\n== Suites (%s)\n' "$amount"
  printf '%s\n' "${report[@]}"
  printf '%s in %d s\n' "$([ "$failed" = 0 ] && echo "All passed" || echo "FAILED")" "$SECONDS"
  exit "$failed"
}

# Without the settings of whoever runs this: tests see the same everywhere.
hermetic() {
  local name
  for name in $(compgen -e); do
    case $name in
      TIDEGATE_CACHE | TIDEGATE_KUBECTL | TIDEGATE_TEST*) ;;
      TIDEGATE_* | GIT_* | KUBECONFIG | SSH_AUTH_SOCK | XDG_CONFIG_HOME | AWS_* | LOCAL_CLUSTER | NO_COLOR) unset "$name" ;;
    esac
  done
  export "${mark?}" TMPDIR=$folder NO_PROXY=localhost,127.0.0.1,198.18.0.0/15 no_proxy=localhost,127.0.0.1,198.18.0.0/15
  export GIT_CONFIG_GLOBAL=/dev/null GIT_CONFIG_SYSTEM=/dev/null GIT_CONFIG_NOSYSTEM=1 GIT_TERMINAL_PROMPT=0
}

# The test targets of a crate, as arguments for cargo: those that need a cluster (`cluster` and `cluster_*`), or the others.
targets() {
  local crate=$1 wanted=$2 file name kind
  for file in "$crate"/tests/*.rs "$crate"/tests/*/main.rs; do
    [ -e "$file" ] || continue
    name=${file#"$crate/tests/"}
    name=${name%/main.rs}
    name=${name%.rs}
    case $name in
      cluster | cluster_*) kind=cluster ;;
      *) kind=plain ;;
    esac
    if [ "$kind" = "$wanted" ]; then printf ' --test %s' "$name"; fi
  done
}

# Always the whole workspace, so that every dependency is built once, with the same features.
tests() {
  if [ $# -le 2 ]; then
    # Without a selection cargo would run everything.
    suite "$1" "$2" sh -c 'echo "there is no such test" >&2; exit 1' || true
  else
    suite "$1" "$2" cargo test --locked --workspace --no-fail-fast "${@:3}" || true
  fi
}

# A crate whose tests no suite runs would pass for ever.
known=" daemon daemon/core deploy/local-cluster deploy/shop proptests "
for manifest in $(git -c safe.directory='*' ls-files '*Cargo.toml'); do
  crate=$(dirname "$manifest")
  if [ -d "$crate/tests" ] && [[ $known != *" $crate "* ]]; then
    echo "suites.sh: no suite runs $crate/tests" >&2
    exit 1
  fi
done
if [ "$(id -u)" != 0 ]; then
  echo "The tests run a Kubernetes, which needs root. Run them as root, or with sudo and this PATH and HOME." >&2
  exit 1
fi
# Suites that sample read it and say `n of N`.
export TIDEGATE_TEST=$amount
unset PROPTEST_CASES

# A cluster that an interrupted run left behind goes first, then Kubernetes is built beside the other builds.
suite "build of the local cluster" "$build_seconds" cargo build --locked --workspace --bin local-cluster || finish
has_cluster=yes
"$local_cluster" down --name "$cluster"
timeout "$kubernetes_seconds" nice -n 10 "$local_cluster" build > "$folder/kubernetes.log" 2>&1 &
kubernetes=$!

suite "build of cargo-deny" 900 deploy/test/dependencies.sh --install || true
suite "format, clippy, dependencies" "$build_seconds" make --no-print-directory lint || true
suite "documentation" 600 make --no-print-directory docs || true
suite "build of everything" "$build_seconds" cargo test --locked --workspace --no-run || finish
# Pods of the tests are pods of the shop.
suite "build of the shop's image" "$build_seconds" env VERSIONS=1.0.0 LOCAL_CLUSTER="$local_cluster" CARGO_TARGET_DIR="$build" deploy/demo/images.sh build || finish
# Tests have deadlines of their own, so from here on nothing runs beside them.
wait "$kubernetes" || true # the suite says why, if it failed
kubernetes=
suite "build of Kubernetes" "$kubernetes_seconds" "$local_cluster" build || finish
hermetic

# shellcheck disable=SC2046 # the lists are words
tests "units" $((300 * scale)) --lib --bins $(targets daemon/core plain)
tests "examples in documentation" 120 --doc
# shellcheck disable=SC2046
tests "daemon without a cluster" $((300 * scale)) $(targets daemon plain)
# shellcheck disable=SC2046
tests "shop" 120 $(targets deploy/shop plain)

TIDEGATE_KUBECTL=$("$local_cluster" kubectl)
export TIDEGATE_KUBECTL PATH=${TIDEGATE_KUBECTL%/*}:$PATH
# shellcheck disable=SC2046
tests "properties" $((600 * scale)) $(targets proptests plain)
if [ "$amount" = full ]; then
  models=(cargo test --locked --profile measured --package tidegate-proptests --test rollout_model)
  suite "build of the rollout models" "$build_seconds" "${models[@]}" --no-run || true
  # Each in a process of its own: the memory of one is not counted against the next. Each has 2 hours, and time to say how far it got.
  for world in $("${models[@]}" -- --list 2>/dev/null | sed -n 's/^\(large_.*\): test$/\1/p'); do
    TIDEGATE_TEST_MODELS=large suite "$world" 7500 "${models[@]}" -- --exact "$world" || true
  done
fi
# shellcheck disable=SC2046
tests "life of a local cluster" 300 $(targets deploy/local-cluster plain)

suite "start of a cluster" 60 "$local_cluster" up --name "$cluster" --audit || finish
TIDEGATE_TEST_KUBECONFIG=$("$local_cluster" kubeconfig --name "$cluster")
export TIDEGATE_TEST_KUBECONFIG
# shellcheck disable=SC2046
tests "properties against the API server" $((120 * scale)) $(targets proptests cluster)
# Three at a time: they wait more than they work.
# shellcheck disable=SC2046
RUST_TEST_THREADS=3 tests "a real cluster" $((2400 * scale)) $(targets daemon cluster)
finish
