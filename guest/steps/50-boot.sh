# shellcheck shell=sh
# Boot loader for BIOS, serial console, /etc/fstab.
# Needs: FIRMWARE, DISK, ROOT, ROOT_UUID, KERNEL_FLAVOR, INITFS_FEATURES. Leaves: a disk that boots by BIOS, if it shall.

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
		has_feature base || [ "$feature" = cloud ] || [ ! -e "$ROOT/etc/mkinitfs/features.d/$feature.files" ] \
			|| fail "the initramfs's feature $feature is for Alpine's own init" "put base: true into the profile's initfs_features"
	done
}

# Its boot sector lies in the filesystem. On a disk with partitions code in the first sector leads there.
install_extlinux() {
	run in_root extlinux --install /boot
	run in_root update-extlinux
	shorten_menu
	! has_uefi || run dd if="$ROOT/usr/share/syslinux/gptmbr.bin" of="$DISK" bs=440 count=1 conv=notrunc,fsync status=none
}

# Boot the kernel at once, without the menu that update-extlinux writes for people at a screen; a key that is held
# down while it starts still gives a prompt.
shorten_menu() {
	[ -f "$ROOT/boot/extlinux.conf" ] || fail "update-extlinux wrote no /boot/extlinux.conf" "check the package syslinux"
	sed -i -e "s/^DEFAULT .*/DEFAULT $KERNEL_FLAVOR/" -e 's/^TIMEOUT .*/TIMEOUT 1/' "$ROOT/boot/extlinux.conf"
	grep -q "^LABEL $KERNEL_FLAVOR\$" "$ROOT/boot/extlinux.conf" \
		|| fail "/boot/extlinux.conf has no entry $KERNEL_FLAVOR" "check kernel_flavor in the profile"
}

# A login on the serial port, which is the cloud's console, and on nothing else.
set_console() {
	sed -i -e 's/^tty[1-6]:/#&/' -e '/^#*ttyS0:/d' "$ROOT/etc/inittab"
	echo 'ttyS0::respawn:/sbin/getty -L 115200 ttyS0 vt100' >> "$ROOT/etc/inittab"
}
