#!/bin/sh
# Stand-in for Alpine's update-extlinux: writes /boot/extlinux.conf from /etc/update-extlinux.conf, puts the menu's
# modules beside it, and refreshes the boot loader where one is installed. `timeout` is in seconds.
# shellcheck disable=SC2154 # the settings come from the file

conf=/etc/update-extlinux.conf
out=/boot/extlinux.conf
warn_only=
[ "$1" != --warn-only ] || warn_only=yes

fail() {
	echo "update-extlinux: $*" >&2
	[ -z "$warn_only" ] || exit 0
	exit 1
}

entry() {
	flavor=$1
	echo "LABEL $flavor"
	[ "$flavor" != "$default" ] || echo "  MENU DEFAULT"
	echo "  MENU LABEL Linux $flavor"
	echo "  LINUX vmlinuz-$flavor"
	[ ! -f "/boot/initramfs-$flavor" ] || echo "  INITRD initramfs-$flavor"
	echo "  APPEND root=$root modules=$modules $default_kernel_opts"
	echo
}

[ -r "$conf" ] || fail "$conf is missing"
# shellcheck source=/dev/null
. "$conf"
if [ -z "$root" ]; then
	device=$(awk '$2 == "/" { device = $1 } END { print device }' /proc/mounts)
	uuid=$(blkid "$device" | sed -n 's/.* UUID="\([^"]*\)".*/\1/p')
	[ -n "$uuid" ] || fail "cannot tell the root device: set root= in $conf"
	root=UUID=$uuid
fi
[ "$overwrite" = 1 ] || exit 0

{
	[ -z "$serial_port" ] || echo "SERIAL $serial_port ${serial_baud:-115200}"
	echo "DEFAULT menu.c32"
	echo "PROMPT 0"
	echo "MENU TITLE Alpine/Linux Boot Menu"
	[ "$hidden" != 1 ] || echo "MENU HIDDEN"
	echo "MENU AUTOBOOT Alpine will be booted automatically in # seconds."
	echo "TIMEOUT $((${timeout:-3} * 10))"
	for kernel in /boot/vmlinuz-*; do
		[ ! -f "$kernel" ] || entry "${kernel#/boot/vmlinuz-}"
	done
} > "$out.new" || fail "cannot write $out.new"
mv "$out.new" "$out" || fail "cannot write $out"

for module in menu.c32 libutil.c32 libcom32.c32 ldlinux.c32; do
	cp "/usr/share/syslinux/$module" /boot/ || fail "cannot copy $module to /boot"
done
[ ! -f /boot/ldlinux.sys ] || extlinux --update /boot > /dev/null || fail "extlinux --update failed"
exit 0
