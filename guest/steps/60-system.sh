# shellcheck shell=sh disable=SC3028 # HOSTNAME is not the shell's here: image.env sets it
# Host name, network, kernel modules, the order of services.
# Needs: ROOT, HOSTNAME, SERVICES_*, words. Leaves: a system that comes up with the network by DHCP, once 82-services has
# linked its services.

set_up_system() {
	say_step "setting up the network"
	echo "$HOSTNAME" > "$ROOT/etc/hostname"
	printf '127.0.0.1\tlocalhost %s\n::1\t\tlocalhost %s\n' "$HOSTNAME" "$HOSTNAME" > "$ROOT/etc/hosts"
	put_file interfaces 644 /etc/network/interfaces
	if [ -f "$ROOT/etc/dhcpcd.conf" ]; then
		cat "$GUEST/files/dhcpcd.conf" >> "$ROOT/etc/dhcpcd.conf"
	fi
	put_file openrc.sh 644 /etc/rc.conf.d/omi.conf
	name_clock
	put_file omi-drivers.initd 755 /etc/init.d/omi-drivers
	put_file omi-drivers-late.initd 755 /etc/init.d/omi-drivers-late
	name_power_button
	for level in sysinit boot default shutdown; do mkdir -p "$ROOT/etc/runlevels/$level"; done
	# a setup script may bring some, so with one 82-services names what is missing
	[ -n "$SETUP_SCRIPT" ] || each_runlevel need_services
}

# Some services want another that provides the clock. The kernel has read the machine's before it starts init, so where
# the profile has none of those a service that is there anyway answers.
name_clock() {
	case " $(words "$SERVICES_SYSINIT") $(words "$SERVICES_BOOT") " in
	*" hwclock "* | *" osclock "* | *" swclock "*) return 0 ;;
	esac
	printf '\n# The kernel has the time; with a service such as hwclock take this out.\nrc_sysfs_provide="clock"\n' \
		>> "$ROOT/etc/rc.conf.d/omi.conf"
}

# What busybox acpid needs to hear the power button, by which the cloud stops a VM: by name, where nothing looks for it.
name_power_button() {
	case " $(words "$SERVICES_DEFAULT") " in
	*" omi-drivers-late "*) return 0 ;;
	esac
	for module in button evdev; do
		grep -qx "$module" "$ROOT/etc/modules" || echo "$module" >> "$ROOT/etc/modules"
	done
}
