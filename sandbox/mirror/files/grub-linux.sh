#!/bin/sh
# Stand-in for GRUB's 10_linux with Alpine's changes: one entry for each kernel /boot/vmlinuz-FLAVOR, the root by its
# UUID, and what syslinux's settings say in front of GRUB's own where there are such. grub-mkconfig runs it.
# shellcheck disable=SC1090,SC1091,SC2154 # the variables come from grub-mkconfig
set -e

[ ! -f /etc/update-extlinux.conf ] || . /etc/update-extlinux.conf
options=$GRUB_CMDLINE_LINUX_DEFAULT
[ ! -f /etc/update-extlinux.conf ] || options="modules=$modules $default_kernel_opts $options"
. "$pkgdatadir/grub-mkconfig_lib"
# grub-probe doesn't find it of a loop device, which has no geometry
uuid=${GRUB_DEVICE_UUID:-$(blkid "$GRUB_DEVICE" | sed -n 's/.* UUID="\([^"]*\)".*/\1/p')}

entry() {
	flavor=$1
	echo "Found linux image: /boot/vmlinuz-$flavor" >&2
	echo "menuentry '${GRUB_DISTRIBUTOR:-Alpine}, with Linux $flavor' --class gnu-linux {"
	prepare_grub_to_access_device "$GRUB_DEVICE_BOOT" | sed 's/^/	/'
	echo "	echo 'Loading Linux $flavor ...'"
	echo "	linux $place/vmlinuz-$flavor root=UUID=$uuid ro $GRUB_CMDLINE_LINUX $options"
	if [ -f "/boot/initramfs-$flavor" ]; then
		echo "	echo 'Loading initial ramdisk ...'"
		echo "	initrd $place/initramfs-$flavor"
	fi
	echo '}'
}

place=$(make_system_path_relative_to_its_root /boot)
first=${GRUB_TOP_LEVEL#/boot/vmlinuz-}
[ ! -f "/boot/vmlinuz-$first" ] || entry "$first"
for kernel in /boot/vmlinuz-*; do
	flavor=${kernel#/boot/vmlinuz-}
	if [ -f "$kernel" ] && [ "$flavor" != "$first" ]; then
		entry "$flavor"
	fi
done
