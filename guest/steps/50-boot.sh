# shellcheck shell=sh
# Boot loader for BIOS, serial console, /etc/fstab.
# Needs: FIRMWARE, DISK, ROOT, ROOT_UUID, KERNEL_FLAVOR, KERNEL_MODULES, INITFS_FEATURES. Leaves: a disk that boots by
# BIOS, if it shall.

set_up_boot() {
	say_step "installing the boot loader"
	check_initramfs
	! has_bios || install_extlinux
	printf 'UUID=%s\t/\text4\trw,noatime\t0 1\n' "$ROOT_UUID" > "$ROOT/etc/fstab"
	set_console
}

check_initramfs() {
	for file in "vmlinuz-$KERNEL_FLAVOR" "initramfs-$KERNEL_FLAVOR"; do
		[ -s "$ROOT/boot/$file" ] || fail "/boot/$file was not made" "check the packages linux-$KERNEL_FLAVOR and mkinitfs"
	done
	for feature in $INITFS_FEATURES; do
		set -- "$ROOT/etc/mkinitfs/features.d/$feature".*
		[ -e "$1" ] || fail "mkinitfs knows no feature $feature" "take it out of the profile's initfs_features"
	done
	in_root zcat "/boot/initramfs-$KERNEL_FLAVOR" | in_root cpio -t > "$WORK/initramfs" 2> /dev/null || :
	for module in $KERNEL_MODULES; do
		has_module "$module" || fail "the initramfs lacks the kernel module $module" \
			"name the feature that brings it in the profile's initfs_features, or take it out of kernel_modules"
	done
}

# has_module NAME: as a file in the initramfs, or built into the kernel; in names - and _ are the same.
has_module() {
	name=$(printf '%s' "$1" | sed 's/[-_]/[-_]/g')
	cat "$WORK/initramfs" "$ROOT"/lib/modules/*/modules.builtin 2> /dev/null | grep -Eq "/$name\.ko(\.[a-z]+)?\$"
}

# Its boot sector lies in the filesystem. On a disk with partitions code in the first sector leads there.
install_extlinux() {
	run in_root extlinux --install /boot
	run in_root update-extlinux
	check_extlinux_menu
	! has_uefi || run dd if="$ROOT/usr/share/syslinux/gptmbr.bin" of="$DISK" bs=440 count=1 conv=notrunc,fsync status=none
}

check_extlinux_menu() {
	grep -q "^LABEL $KERNEL_FLAVOR\$" "$ROOT/boot/extlinux.conf" \
		|| fail "/boot/extlinux.conf has no entry $KERNEL_FLAVOR" "check the packages linux-$KERNEL_FLAVOR and syslinux"
}

# A login on the serial port, which is the cloud's console, and on nothing else.
set_console() {
	sed -i -e 's/^tty[1-6]:/#&/' -e '/^#*ttyS0:/d' "$ROOT/etc/inittab"
	echo 'ttyS0::respawn:/sbin/getty -L 115200 ttyS0 vt100' >> "$ROOT/etc/inittab"
}
