# shellcheck shell=sh
# What a login shows, the local time, kernel parameters as they are now. setting=KEY VALUE: a key of the profile as it is.
echo "motd_digest=$(sha256sum < /etc/motd 2> /dev/null | cut -d' ' -f1)"
zone=$(readlink /etc/localtime)
echo "setting=timezone ${zone#*/zoneinfo/}"
echo "local_clock=$(date '+%s %z')"
[ ! -r /etc/sysctl.d/90-omi.conf ] || while read -r name _; do
	value=$(sysctl -n "$name" 2> /dev/null) || value=$(as_root sysctl -n "$name" 2> /dev/null < /dev/null)
	echo "sysctl=$name $value"
done < /etc/sysctl.d/90-omi.conf
