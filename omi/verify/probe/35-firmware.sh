# shellcheck shell=sh
# What started the machine, and which of the filesystems that /etc/fstab names are mounted as what.
[ -d /sys/firmware/efi ] && echo "boot_mode=uefi" || echo "boot_mode=legacy"
device=$(awk '$2 == "/" && $1 ~ /^\/dev\// { print $1 }' /proc/mounts | tail -n 1)
[ -e "/sys/class/block/${device##*/}/partition" ] && echo "root_partition=yes" || echo "root_partition=no"
sed -n 's/^[^#[:space:]][^[:space:]]*[[:space:]]\{1,\}\([^[:space:]]*\).*/\1/p' /etc/fstab | while read -r place; do
	echo "fstab=$place $(awk -v place="$place" '$2 == place { type = $3 } END { print type }' /proc/mounts)"
done
