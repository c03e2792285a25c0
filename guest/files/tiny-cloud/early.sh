# shellcheck shell=sh
# OpenRC reads this with the service tiny-cloud-early, the first that asks the metadata service, and runs start_pre
# before that starts.
#
# Notices that this is an instance that was not set up yet, for tiny-cloud keeps no account of which instance it set up:
# an image made of a running instance would stay what that one was. Makes the one SSH host key. What fails is reported and
# keeps nothing else from starting. A service of its own would take twenty processes more.

: "${omi_known:=/var/lib/cloud/instance-id}"
: "${omi_unanswered:=/run/outscale-unanswered}"
: "${omi_host_key:=/etc/ssh/ssh_host_ed25519_key}"

start_pre() {
	if ! omi_id=$(omi_instance_id); then
		eerror "the metadata service has no instance id; the next boot asks again"
		# whatever else it says then, such as that there is no key, is not taken at its word
		echo meta-data/instance-id >> "$omi_unanswered"
	elif [ "$omi_id" != "$(omi_known_id)" ]; then
		omi_begin_anew "$omi_id" || eerror "the set-up of instance $omi_id can't be begun"
	fi
	omi_make_host_key || eerror "no SSH host key"
	return 0
}

omi_instance_id() {
	omi_found=$(imds meta-data/instance-id) || return 1
	case "$omi_found" in
	'' | *[!A-Za-z0-9-]*) return 1 ;;
	esac
	printf '%s\n' "$omi_found"
}

omi_known_id() {
	[ ! -e "$omi_known" ] || read -r omi_line < "$omi_known"
	printf '%s\n' "${omi_line-}"
}

# omi_begin_anew ID: what belongs to the instance before goes, and tiny-cloud is to do all of its work again.
omi_begin_anew() {
	if [ -e "$omi_known" ]; then
		rm -f "$omi_host_key" "$omi_host_key.pub" || return 1
		rm -f "${omi_known%/*}/user-data" "${omi_known%/*}/outscale-user-data" || return 1
		tiny-cloud --bootstrap incomplete && tiny-cloud boot || return 1
	fi
	[ -d "${omi_known%/*}" ] || mkdir -p "${omi_known%/*}" || return 1
	printf '%s\n' "$1" > "$omi_known.new" && mv "$omi_known.new" "$omi_known"
}

omi_make_host_key() {
	[ ! -s "$omi_host_key" ] || return 0
	command -v ssh-keygen > /dev/null || return 0
	# an empty one, of a boot that was cut off, would be asked about
	[ ! -e "$omi_host_key" ] || rm -f "$omi_host_key" "$omi_host_key.pub"
	ssh-keygen -q -t ed25519 -N "" -C "" -f "$omi_host_key"
}
