#!/sbin/openrc-run
# shellcheck shell=sh disable=SC2034 # OpenRC reads description
# The provider's service: begins tiny-cloud's set-up anew on another instance.
#
# tiny-cloud keeps no account of which instance it set up, and reads a provider only until the set-up is complete: an
# image made of a running instance would stay what that one was. What fails is reported and keeps nothing else from
# starting.

description="Sees whether this is an instance that was not set up yet"

cloud=/var/lib/cloud
known=$cloud/instance-id
host_key=/etc/ssh/ssh_host_ed25519_key

depend() {
	need net
	before tiny-cloud-early
}

start() {
	ebegin "Asking the metadata service which instance this is"
	# an empty one, of a boot that was cut off, would keep sshd from making another
	[ -s "$host_key" ] || rm -f "$host_key" "$host_key.pub"
	if ! id=$(imds meta-data/instance-id) || [ -z "$id" ]; then
		eend 1 "the metadata service has no instance id; the next boot asks again"
	else
		[ "$id" = "$(known_id)" ] || begin_anew "$id"
		eend $? "the set-up of instance $id can't be begun"
	fi
}

known_id() {
	[ ! -e "$known" ] || head -n 1 "$known"
}

# begin_anew ID: what belongs to the instance before goes, and tiny-cloud is to do all of its work again.
begin_anew() {
	if [ -e "$known" ]; then
		rm -f /etc/ssh/ssh_host_*_key /etc/ssh/ssh_host_*_key.pub "$cloud/user-data" "$cloud/outscale-user-data" || return 1
		tiny-cloud --bootstrap incomplete && tiny-cloud boot || return 1
	fi
	mkdir -p "$cloud" && printf '%s\n' "$1" > "$known.new" && mv "$known.new" "$known"
}
