#!/bin/sh
# Installs the packages of toolchain/system-packages.txt that are missing. With none missing it is quick and calls no
# apt. Exit status: 0 all are there, 1 some are missing (the last line says what to run).
#
#   --list FILE   another list (for the tests)
set -eu

list=$(dirname -- "$0")/system-packages.txt
if [ "${1:-}" = --list ] && [ $# -eq 2 ]; then
	list=$2
elif [ $# -gt 0 ]; then
	echo "usage: $0 [--list FILE]" >&2
	exit 2
fi

say() {
	echo "system packages: $*"
}

is_there() { # PACKAGE PROBE
	if command -v dpkg-query >/dev/null 2>&1; then
		[ "$(dpkg-query -W -f '${db:Status-Status}' "$1" 2>/dev/null)" = installed ]
		return
	fi
	case $2 in
	/*) [ -e "$2" ] ;;
	*) PATH=$PATH:/usr/sbin:/sbin command -v "$2" >/dev/null 2>&1 ;;
	esac
}

missing=
probes=
while read -r package probe _; do
	case $package in
	'' | '#'*) continue ;;
	esac
	if ! is_there "$package" "$probe"; then
		missing="$missing $package"
		probes="$probes $probe"
	fi
done <"$list"
# A Python that is not Debian's brings its own venv module.
if ! python3 -c 'import ensurepip, venv' >/dev/null 2>&1; then
	missing="$missing python3-venv"
	probes="$probes python3-venv"
fi
[ -n "$missing" ] || exit 0

if ! command -v apt-get >/dev/null 2>&1; then
	say "missing:$probes" >&2
	say 'this system has no apt-get: install these by its own package manager, then run this again' >&2
	exit 1
fi
if [ "$(id -u)" = 0 ]; then
	as_root=
elif sudo -n true >/dev/null 2>&1; then
	as_root='sudo -n'
else
	say "missing, and neither root nor sudo without a password can be had here. Run:" >&2
	echo "  sudo apt-get update && sudo apt-get install -y --no-install-recommends$missing" >&2
	exit 1
fi

log=$(mktemp)
trap 'rm -f "$log"' EXIT
say "installing$missing"
# shellcheck disable=SC2086 # both are lists of words
if ! {
	$as_root timeout 600 apt-get -o DPkg::Lock::Timeout=300 -q update &&
		$as_root env DEBIAN_FRONTEND=noninteractive timeout 1800 apt-get -o DPkg::Lock::Timeout=300 -q \
			install -y --no-install-recommends $missing
} >"$log" 2>&1 </dev/null; then
	tail -n 5 "$log" >&2
	say "apt failed. Run: apt-get update && apt-get install -y --no-install-recommends$missing" >&2
	exit 1
fi
