#!/bin/sh
# Makes an Alpine image on the build VM's empty disk. Run as root: build.sh DIR
#
# DIR holds image.env, keys/*.rsa.pub and what the profile's setup script needs (see README.md).
# Progress, errors and the result are lines on the output that begin with `guest:`.
# shellcheck disable=SC2034 # the parts use what is set here
set -eu
export LC_ALL=C PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
umask 022

GUEST=$(cd "$(dirname "$0")" && pwd)
WORK=
ROOT=
for part in "$GUEST"/lib/*.sh "$GUEST"/steps/*.sh; do
	# shellcheck source=/dev/null
	. "$part"
done

ended() {
	code=$?
	trap - EXIT
	report_end "$code"
	leave_root || :
	[ -z "$WORK" ] || rm -rf "$WORK"
	exit "$code"
}

[ $# -eq 1 ] || fail "build.sh wants one folder, it got $# words" "run build.sh DIR"
trap ended EXIT
trap 'exit 129' HUP
trap 'exit 130' INT
trap 'exit 143' TERM
DATA=$(cd "$1" && pwd) || fail "$1 is not a folder" "run build.sh DIR"

load_settings
need_tools
WORK=$(mktemp -d)
choose_disk
get_apk
read_indexes
make_partitions
make_filesystem
install_packages
check_indexes
set_up_boot
set_up_uefi
set_up_system
set_up_settings
set_up_time
set_up_access
set_up_bootstrap
run_setup_script
link_services
write_release
finish
