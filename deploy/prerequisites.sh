#!/bin/sh
# Checks what a machine needs to build, test and demonstrate Tidegate: Rust and Go first, which nothing here
# installs, then Debian packages. With --install, installs the missing packages, as root or by sudo.
#
# usage: prerequisites.sh [--install]
set -eu

rust_needed=1.95
go_needed=1.26
# What compiles; a cluster; git servers (nginx in front of one), a database and a Prometheus for the example and the tests.
# (Prometheus and nginx are run by the tests; their services are nothing that anybody here needs.)
packages="gcc libc6-dev make curl procps openssl
containerd runc containernetworking-plugins iptables iproute2 conntrack util-linux mount
git openssh-server openssh-client nginx postgresql prometheus ca-certificates"

# at_least WANTED FOUND: whether version FOUND is WANTED or later.
at_least() {
	[ "$(printf '%s\n%s\n' "$1" "$2" | sort -V | head -n 1)" = "$1" ]
}

trouble=0
rust_found=$(rustc --version 2>/dev/null | cut -d ' ' -f 2) || true
if [ -z "$rust_found" ]; then
	echo "Rust $rust_needed or later is needed, and there is no rustc in PATH: install it, for example with rustup." >&2
	trouble=1
elif ! at_least "$rust_needed" "$rust_found"; then
	echo "Rust $rust_needed or later is needed, and this is $rust_found: update it, for example with rustup update." >&2
	trouble=1
fi
go_found=$(cd / && go env GOVERSION 2>/dev/null | sed 's/^go//; s/ .*//') || true
if [ -z "$go_found" ]; then
	echo "Go $go_needed or later is needed, and there is no go in PATH: install it." >&2
	trouble=1
elif ! at_least "$go_needed" "$go_found"; then
	echo "Go $go_needed or later is needed, and this is $go_found: update it." >&2
	trouble=1
fi
[ "$trouble" = 0 ] || exit 1

if ! command -v dpkg-query > /dev/null; then
	echo "This is not Debian, so packages are not checked. What is needed, by Debian's names:" $packages >&2
	exit 0
fi

missing=
for package in $packages; do
	case $(dpkg-query --show --showformat '${db:Status-Status}' "$package" 2>/dev/null || true) in
	installed) ;;
	*) missing="$missing $package" ;;
	esac
done
[ -n "$missing" ] || exit 0

if [ "${1:-}" != --install ]; then
	echo "Missing Debian packages:$missing" >&2
	echo "Install them with: $0 --install" >&2
	exit 1
fi
as_root=
if [ "$(id -u)" != 0 ]; then
	command -v sudo > /dev/null || { echo "Installing packages needs root: run this as root." >&2; exit 1; }
	as_root=sudo
fi
$as_root env DEBIAN_FRONTEND=noninteractive apt-get update --quiet
# shellcheck disable=SC2086 # the list is words
$as_root env DEBIAN_FRONTEND=noninteractive apt-get install --yes --quiet --no-install-recommends $missing
