# shellcheck shell=sh
# Kilobytes of the root filesystem and of the disk under it.
root=$(awk '$2 == "/" && $1 ~ /^\/dev\// { print $1 }' /proc/mounts | tail -n 1)
echo "root_device=$root"
echo "root_kib=$(df -Pk / | awk 'NR == 2 { print $2 }')"
disk=$(readlink -f "$root")
echo "disk_kib=$(awk -v name="${disk##*/}" '$4 == name { print $3 }' /proc/partitions)"
