# shellcheck shell=sh
# SSH host keys, by name.
for key in /etc/ssh/ssh_host_*_key.pub; do
	[ -e "$key" ] && echo "host_key=${key##*/}"
done
