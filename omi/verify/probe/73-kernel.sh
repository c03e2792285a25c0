# shellcheck shell=sh
# How the kernel was started, and what was put into its initramfs.
echo "kernel_command_line=$(cat /proc/cmdline)"
echo "initfs_features=$(sed -n 's/^features="\(.*\)"$/\1/p' /etc/mkinitfs/mkinitfs.conf)"
