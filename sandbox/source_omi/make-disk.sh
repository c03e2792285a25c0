#!/bin/sh
# make-disk.sh ROOT.tar RECIPE DISK.raw SIZE_GIB: a bootable disk from a Debian root file system, without mounts or loop
# devices. Runs as root or as a mapped root (unshare --map-root-user --map-auto). Layout: MBR, FAT with syslinux and the
# kernel, ext4 root. Scratch files lie beside DISK.raw and are removed.
set -eu
tar=$1
recipe=$2
disk=$3
size_gib=$4
PATH=$PATH:/usr/sbin:/sbin

boot_mib=64
root_mib=$((1 + boot_mib))
work=$disk.work
trap 'rm -rf "$work"' EXIT
trap 'exit 1' HUP INT TERM # sh runs the EXIT trap only when it ends by itself
root=$work/root
initrd=$work/initrd
mkdir -p "$root" "$initrd/bin" "$initrd/modules" "$initrd/dev" "$initrd/proc" "$initrd/root"

tar -C "$root" --numeric-owner --exclude='./dev/*' -xpf "$tar"
sh "$recipe/customize.sh" "$root" "$recipe"

kernel=$(ls "$root/lib/modules")
install -m 755 "$recipe/initrd-init" "$initrd/init"
install -m 755 "$root/bin/busybox" "$initrd/bin/busybox"
chroot "$root" modprobe -S "$kernel" --show-depends -a virtio_pci virtio_blk ext4 |
	awk '$1 == "insmod" && !seen[$2]++ { print $2 }' | while read -r module; do
	install -m 644 "$root/$module" "$initrd/modules/"
	basename "$module"
done >"$initrd/modules/order"
[ -s "$initrd/modules/order" ] || { echo "kernel $kernel has no virtio modules" >&2; exit 1; }
(cd "$initrd" && find . | "$root/bin/busybox" cpio -o -H newc) >"$work/initrd.img" 2>/dev/null

truncate -s "${size_gib}G" "$disk"
sfdisk --quiet "$disk" <<-PARTITIONS
	label: dos
	start=1MiB, size=${boot_mib}MiB, type=c, bootable
	start=${root_mib}MiB, type=83
PARTITIONS
dd if=/usr/lib/syslinux/mbr/mbr.bin of="$disk" conv=notrunc status=none

mformat -i "$disk@@1M" -F -T $((boot_mib * 2048)) -H 2048 ::
mcopy -i "$disk@@1M" "$root/boot/vmlinuz-$kernel" ::/vmlinuz
mcopy -i "$disk@@1M" "$work/initrd.img" ::/initrd
mcopy -i "$disk@@1M" "$recipe/syslinux.cfg" ::/syslinux.cfg
syslinux --offset 1048576 --install "$disk"

rm -f "$root"/boot/vmlinuz-* "$root"/boot/System.map-*
mke2fs -q -F -t ext4 -L root -m 1 -d "$root" \
	-E "offset=$((root_mib << 20)),assume_storage_prezeroed=1,root_owner=0:0" \
	"$disk" "$(((size_gib << 20) - (root_mib << 10)))k"
