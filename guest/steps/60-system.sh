# shellcheck shell=sh disable=SC3028 # HOSTNAME is not the shell's here: image.env sets it
# Host name, network, the order of services.
# Needs: ROOT, HOSTNAME, SERVICES_*. Leaves: a system that comes up with the network by DHCP, once 82-services has
# linked its services.

set_up_system() {
	say_step "setting up the network"
	echo "$HOSTNAME" > "$ROOT/etc/hostname"
	printf '127.0.0.1\tlocalhost %s\n::1\t\tlocalhost %s\n' "$HOSTNAME" "$HOSTNAME" > "$ROOT/etc/hosts"
	put_file interfaces 644 /etc/network/interfaces
	if [ -f "$ROOT/etc/dhcpcd.conf" ]; then
		cat "$GUEST/files/dhcpcd.conf" >> "$ROOT/etc/dhcpcd.conf"
		put_file dhcpcd-exit-hook.sh 644 /etc/dhcpcd.exit-hook
	fi
	put_file openrc.sh 644 /etc/rc.conf.d/omi.conf
	for level in sysinit boot default shutdown; do mkdir -p "$ROOT/etc/runlevels/$level"; done
	# a setup script may bring some, so with one 82-services names what is missing
	[ -n "$SETUP_SCRIPT" ] || each_runlevel need_services
}
