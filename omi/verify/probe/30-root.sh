# shellcheck shell=sh
# Kilobytes of the root filesystem and of the disk under it. When the machine booted and when the root was mounted for
# writing, seconds of the epoch.
root=$(awk '$2 == "/" && $1 ~ /^\/dev\// { print $1 }' /proc/mounts | tail -n 1)
echo "root_device=$root"
echo "root_kib=$(df -Pk / | awk 'NR == 2 { print $2 }')"
disk=$(readlink -f "/sys/class/block/${root##*/}")
[ ! -e "$disk/partition" ] || disk=${disk%/*}
echo "disk_kib=$(awk -v name="${disk##*/}" '$4 == name { print $3 }' /proc/partitions)"
echo "booted=$(awk '$1 == "btime" { print $2 }' /proc/stat)"
# s_mtime of ext4's superblock (linux/fs/ext4/ext4.h): by the clock that files made since then were stamped with, so
# that whatever is older came with the image
echo "mounted=$(as_root dd if="$root" bs=4 skip=267 count=1 < /dev/null 2> /dev/null | od -An -tu4 | tr -d ' ')"
