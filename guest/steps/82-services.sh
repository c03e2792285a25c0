# shellcheck shell=sh
# The profile's services, after the setup script, which may bring some of them.
# Needs: ROOT, SERVICES_*, finish_time. Leaves: the runlevels' links, and chrony set up where it is a service.

link_services() {
	say_step "linking the services"
	add_services sysinit "$SERVICES_SYSINIT"
	add_services boot "$SERVICES_BOOT"
	add_services default "$SERVICES_DEFAULT"
	add_services shutdown "$SERVICES_SHUTDOWN"
	finish_time
}

# add_services RUNLEVEL SERVICES
add_services() {
	mkdir -p "$ROOT/etc/runlevels/$1"
	for service in $2; do
		[ -x "$ROOT/etc/init.d/$service" ] || fail "the service $service ($1) is in none of the installed packages" \
			"add its package to the profile, have the setup script bring it, or take the service out"
		# what rc-update does, without starting it once for every service
		ln -sf "/etc/init.d/$service" "$ROOT/etc/runlevels/$1/$service"
	done
}
