#!/bin/sh
# The tools are there, and each filesystem can be made, checked and mounted.
set -eu
for tool in cryptsetup ddrescue lvm mdadm nvme parted rsync sfdisk sgdisk tcpdump testdisk tmux; do
	PATH=$PATH:/usr/sbin:/sbin command -v "$tool" >/dev/null || {
		echo "$tool is missing"
		exit 1
	}
done
cd "$(mktemp -d)"
mkdir mounted
for kind in ext4 xfs btrfs vfat; do
	truncate -s 512M disk
	doas "mkfs.$kind" disk
	doas mount -t "$kind" -o loop disk mounted
	doas umount mounted
	rm disk
done
echo 'rescue: all is as it should be'
