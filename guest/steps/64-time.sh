# shellcheck shell=sh
# Where the time comes from.
# Needs: ROOT, SERVICES_*, NTP_SERVERS (may be empty). Leaves: the configuration of busybox's ntpd or of chrony,
# whichever is a service: the servers that are named, else those of DHCP, which dhcpcd adds, and pool.ntp.org; and
# finish_time, to be called again once the setup script has run.

chrony_config=etc/chrony/chrony.conf
chrony_is_named=

set_up_time() {
	! is_service ntpd || set_up_ntpd
	# without its package, the setup script may bring chrony: finish_time sees to that
	! is_service chronyd || [ -n "${SETUP_SCRIPT:-}" ] || need_chrony
	! is_service chronyd || set_up_chrony
	[ -z "$NTP_SERVERS" ] || { ! is_service ntpd && ! is_service chronyd; } || keep_out_dhcp_time
}

# is_service NAME: whether the profile runs it.
is_service() {
	case " $(words "$SERVICES_SYSINIT $SERVICES_BOOT $SERVICES_DEFAULT") " in
	*" $1 "*) return 0 ;;
	*) return 1 ;;
	esac
}

# Without an option -p it reads /etc/ntp.conf, which is where dhcpcd writes, too.
set_up_ntpd() {
	echo 'NTPD_OPTS="-N"' > "$ROOT/etc/conf.d/ntpd"
	time_servers "" > "$ROOT/etc/ntp.conf"
}

# The same for what the setup script brought or changed.
finish_time() {
	is_service chronyd || return 0
	need_chrony
	set_up_chrony
}

need_chrony() {
	[ -f "$ROOT/$chrony_config" ] || fail "/$chrony_config is missing for the service chronyd" "add the package chrony"
}

# What chrony's configuration lacks, once it is there: the named servers, which a setup script may change later, and the
# leave to set a clock that is hours off at once, which else would be slewed for weeks.
set_up_chrony() {
	[ -f "$ROOT/$chrony_config" ] || return 0
	[ -z "$NTP_SERVERS" ] || [ -n "$chrony_is_named" ] || name_chrony_servers
	chrony_is_named=yes
	! grep -Erqi '^[[:space:]]*(makestep|initstepslew)([[:space:]]|$)' "$ROOT/etc/chrony" || return 0
	printf '\nmakestep 1.0 3\n' >> "$ROOT/$chrony_config"
}

name_chrony_servers() {
	sed -i -E '/^[[:space:]]*(server|pool|peer|initstepslew)[[:space:]]/d' "$ROOT/$chrony_config"
	time_servers " iburst" >> "$ROOT/$chrony_config"
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
