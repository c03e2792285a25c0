# shellcheck shell=sh
# Where the time comes from.
# Needs: ROOT, SERVICES_*, NTP_SERVERS (may be empty). Leaves: the configuration of busybox's ntpd or of chrony,
# whichever is a service: the servers that are named, else those of DHCP, which dhcpcd adds, and pool.ntp.org.

set_up_time() {
	for service in $SERVICES_SYSINIT $SERVICES_BOOT $SERVICES_DEFAULT; do
		case "$service" in
		ntpd) set_up_ntpd ;;
		chronyd) set_up_chrony ;;
		*) continue ;;
		esac
		[ -z "$NTP_SERVERS" ] || keep_out_dhcp_time
	done
}

# Without an option -p it reads /etc/ntp.conf, which is where dhcpcd writes, too.
set_up_ntpd() {
	echo 'NTPD_OPTS="-N"' > "$ROOT/etc/conf.d/ntpd"
	time_servers "" > "$ROOT/etc/ntp.conf"
}

set_up_chrony() {
	config=$ROOT/etc/chrony/chrony.conf
	[ -f "$config" ] || fail "/etc/chrony/chrony.conf is missing for the service chronyd" "add the package chrony"
	[ -n "$NTP_SERVERS" ] || return 0
	sed -i -E '/^[[:space:]]*(server|pool|peer|initstepslew)[[:space:]]/d' "$config"
	time_servers " iburst" >> "$config"
}

# time_servers ENDING: one line a server, with what comes behind its name.
time_servers() {
	for server in ${NTP_SERVERS:-pool.ntp.org}; do
		echo "server $server$1"
	done
}

keep_out_dhcp_time() {
	[ -f "$ROOT/etc/dhcpcd.conf" ] || return 0
	printf '\n# The time comes from the servers that the profile names.\nnohook ntp.conf\n' >> "$ROOT/etc/dhcpcd.conf"
}
