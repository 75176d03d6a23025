#!/usr/bin/env bash
# Licences, banned crates and sources of every dependency, by cargo-deny (deny.toml).
#
#   dependencies.sh             checks; known vulnerabilities too, when their database can be fetched
#   dependencies.sh --install   builds cargo-deny into the target folder when it is missing
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."

version=0.20.2
tools=${CARGO_TARGET_DIR:-$PWD/target}/tools
export PATH=$PATH:$tools/bin
# The database is a git repository elsewhere; a slow or absent network must not hold a test.
fetch_seconds=60

install() {
  if cargo deny --version >/dev/null 2>&1; then return; fi
  echo "cargo-deny is missing and is built now; it takes some minutes, once"
  # Without optimizations: it runs for seconds, and its build would take three times as long.
  cargo install --locked --debug --quiet --no-track --root "$tools" "cargo-deny@$version"
}

check() {
  if ! cargo deny --version >/dev/null 2>&1; then
    echo "cargo-deny is missing; install it with: deploy/test/dependencies.sh --install" >&2
    exit 1
  fi
  cargo deny --locked check --hide-inclusion-graph bans licenses sources
  if timeout "$fetch_seconds" cargo deny --locked fetch db >/dev/null 2>&1; then
    cargo deny --locked check --hide-inclusion-graph --disable-fetch advisories
  else
    echo "advisories not checked: their database cannot be fetched from here"
  fi
}

case "${1:-}" in
  '') check ;;
  --install) install ;;
  *)
    echo "usage: dependencies.sh [--install]" >&2
    exit 64
    ;;
esac
