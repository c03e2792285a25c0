#!/bin/sh
# Makes an Alpine image on the build VM's empty disk. Run as root: build.sh DIR
#
# DIR holds image.env, keys/*.rsa.pub and what the profile's setup script needs (see README.md).
# Progress, errors and the result are lines on the output that begin with `guest:`.
set -eu
export LC_ALL=C PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
umask 022

GUEST=$(cd "$(dirname "$0")" && pwd)
WORK=
ROOT=
# shellcheck source=lib/report.sh
. "$GUEST/lib/report.sh"
# shellcheck source=lib/settings.sh
. "$GUEST/lib/settings.sh"
# shellcheck source=lib/root.sh
. "$GUEST/lib/root.sh"
# shellcheck source=lib/facts.sh
. "$GUEST/lib/facts.sh"
# shellcheck source=steps/10-disk.sh
. "$GUEST/steps/10-disk.sh"
# shellcheck source=steps/20-apk.sh
. "$GUEST/steps/20-apk.sh"
# shellcheck source=steps/22-indexes.sh
. "$GUEST/steps/22-indexes.sh"
# shellcheck source=steps/25-partitions.sh
. "$GUEST/steps/25-partitions.sh"
# shellcheck source=steps/30-filesystem.sh
. "$GUEST/steps/30-filesystem.sh"
# shellcheck source=steps/40-packages.sh
. "$GUEST/steps/40-packages.sh"
# shellcheck source=steps/50-boot.sh
. "$GUEST/steps/50-boot.sh"
# shellcheck source=steps/55-uefi.sh
. "$GUEST/steps/55-uefi.sh"
# shellcheck source=steps/60-system.sh
. "$GUEST/steps/60-system.sh"
# shellcheck source=steps/62-settings.sh
. "$GUEST/steps/62-settings.sh"
# shellcheck source=steps/64-time.sh
. "$GUEST/steps/64-time.sh"
# shellcheck source=steps/70-access.sh
. "$GUEST/steps/70-access.sh"
# shellcheck source=steps/75-bootstrap.sh
. "$GUEST/steps/75-bootstrap.sh"
# shellcheck source=steps/80-setup.sh
. "$GUEST/steps/80-setup.sh"
# shellcheck source=steps/82-services.sh
. "$GUEST/steps/82-services.sh"
# shellcheck source=steps/85-release.sh
. "$GUEST/steps/85-release.sh"
# shellcheck source=steps/90-finish.sh
. "$GUEST/steps/90-finish.sh"

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
DATA=$(cd "$1" && pwd) || fail "$1 is no folder" "run build.sh DIR"

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
