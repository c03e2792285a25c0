# shellcheck shell=sh
# When the machine booted and when its SSH host keys were made, in seconds of the epoch.
echo "booted=$(awk '$1 == "btime" { print $2 }' /proc/stat)"
for key in /etc/ssh/ssh_host_*_key.pub; do
	[ -e "$key" ] && echo "host_key=${key##*/} $(stat -c %Y "$key")"
done
