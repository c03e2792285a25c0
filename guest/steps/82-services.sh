# shellcheck shell=sh
# The profile's services, after the setup script, which may bring some of them.
# Needs: ROOT, SERVICES_*, finish_time. Leaves: the runlevels' links, and chrony set up where it is a service.

link_services() {
	say_step "linking the services"
	each_runlevel add_services
	finish_time
}

# each_runlevel FUNCTION: call it with a runlevel and its services.
each_runlevel() {
	"$1" sysinit "$SERVICES_SYSINIT"
	"$1" boot "$SERVICES_BOOT"
	"$1" default "$SERVICES_DEFAULT"
	"$1" shutdown "$SERVICES_SHUTDOWN"
}

# add_services RUNLEVEL SERVICES
add_services() {
	need_services "$1" "$2"
	mkdir -p "$ROOT/etc/runlevels/$1"
	for service in $2; do
		# what rc-update does, without starting it once for every service
		ln -sf "/etc/init.d/$service" "$ROOT/etc/runlevels/$1/$service"
	done
}

# need_services RUNLEVEL SERVICES: they are there.
need_services() {
	for service in $2; do
		[ -x "$ROOT/etc/init.d/$service" ] || fail "the service $service ($1) is in none of the installed packages" \
			"add its package to the profile, have the setup script bring it, or take the service out"
	done
}
