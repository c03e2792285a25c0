# shellcheck shell=sh
# Stand-in for tiny-cloud's lib/tiny-cloud/init: the actions of each phase. A provider's own `init` and the handler of
# the user data's type are read last and may change actions and functions.

: "${LIBDIR:=/lib}"
# shellcheck source=common.sh
. "$LIBDIR/tiny-cloud/common"

: "${SKIP_INIT_ACTIONS:=}"
: "${INIT_ACTIONS_BOOT=expand_root set_default_interfaces enable_sshd}"
: "${INIT_ACTIONS_EARLY=save_userdata}"
: "${INIT_ACTIONS_MAIN=create_default_user set_hostname set_ssh_keys}"
: "${INIT_ACTIONS_FINAL=}"

mkdir -p "$TINY_CLOUD_LOGS" "$TINY_CLOUD_VAR" || :

if [ "$CLOUD" = auto ]; then
	if [ ! -s "$TINY_CLOUD_VAR/.autodetect" ]; then
		for detector in "$LIBDIR"/tiny-cloud/cloud/*/autodetect; do
			[ ! -x "$detector" ] || "$detector"
		done | sort -n | awk '{ print $2; exit }' > "$TINY_CLOUD_VAR/.autodetect"
	fi
	CLOUD=$(cat "$TINY_CLOUD_VAR/.autodetect")
	: "${CLOUD:=unknown}"
fi

# Grows the last mounted root, and its partition where it is one.
init__expand_root() {
	root_device=$(awk '$2 == "/" && $1 ~ "^/dev/" { print $1 }' "$ROOT/proc/mounts" | tail -n 1)
	root_type=$(awk '$2 == "/" && $1 ~ "^/dev/" { print $3 }' "$ROOT/proc/mounts" | tail -n 1)
	case "$root_type" in
	ext[234]) ;;
	*) return 0 ;;
	esac
	root_sys=$ROOT/sys/class/block/${root_device#/dev/}
	if [ -r "$root_sys/partition" ]; then
		root_disk=/dev/$(basename "$(readlink -f "$root_sys/..")")
		echo ', +' | sfdisk -q --no-reread -N "$(cat "$root_sys/partition")" "$root_disk"
		partx -u "$root_disk"
	fi
	resize2fs "$root_device"
}

init__set_default_interfaces() {
	[ ! -f "$ROOT/etc/network/interfaces" ] || return 0
	mkdir -p "$ROOT/etc/network"
	printf 'auto %s\niface %s inet %s\n\n' lo lo loopback eth0 eth0 dhcp > "$ROOT/etc/network/interfaces"
}

init__create_default_user() {
	! getent passwd "$CLOUD_USER" > /dev/null || return 0
	addgroup "$CLOUD_USER"
	adduser -h "/home/$CLOUD_USER" -s /bin/sh -G "$CLOUD_USER" -D "$CLOUD_USER"
	addgroup "$CLOUD_USER" wheel
	echo "$CLOUD_USER:*" | chpasswd -e
}

init__enable_sshd() {
	rc-update add sshd default
	rc-update --update
}

init__save_userdata() {
	userdata_new=$(mktemp "$TINY_CLOUD_VAR/user-data.XXXXXX")
	imds -e @userdata > "$userdata_new"
	case "$(od -An -tx1 -N 3 "$userdata_new" | tr -d ' \n')" in
	1f8b08) gzip -dc "$userdata_new" > "$TINY_CLOUD_VAR/user-data" ;;
	425a68) bzip2 -dc "$userdata_new" > "$TINY_CLOUD_VAR/user-data" ;;
	fd377a) xz -dc "$userdata_new" > "$TINY_CLOUD_VAR/user-data" ;;
	*) cat "$userdata_new" > "$TINY_CLOUD_VAR/user-data" ;;
	esac
	rm "$userdata_new"
}

init__set_hostname() {
	host_whole=$(imds @hostname) || :
	host_short=${host_whole%%.*}
	[ -n "$host_short" ] || return 0
	mkdir -p "$ROOT/etc"
	echo "$host_short" > "$ROOT/etc/hostname"
	hostname -F "$ROOT/etc/hostname"
	printf '127.0.1.1\t%s %s\n' "$host_whole" "$host_short" >> "$ROOT/etc/hosts"
}

init__set_ssh_keys() {
	ssh_keys=$(imds @ssh-keys) || :
	if [ -z "$ssh_keys" ]; then
		log -i notice "the instance has no SSH key"
		return 0
	fi
	user_entry=$(getent passwd "$CLOUD_USER") || return 1
	user_ssh=$ROOT$(echo "$user_entry" | cut -d: -f6)/.ssh
	mkdir -p "$user_ssh"
	chmod 700 "$user_ssh"
	printf '%s\n' "$ssh_keys" > "$user_ssh/authorized_keys"
	chmod 600 "$user_ssh/authorized_keys"
	chown -R "$CLOUD_USER:$(echo "$user_entry" | cut -d: -f4)" "$user_ssh"
}

if [ -f "$LIBDIR/tiny-cloud/cloud/$CLOUD/init" ]; then
	# shellcheck source=/dev/null
	. "$LIBDIR/tiny-cloud/cloud/$CLOUD/init"
fi

# The first line up to its first blank says it.
userdata_type() {
	if [ ! -f "$TINY_CLOUD_VAR/user-data" ]; then
		echo missing
		return
	fi
	userdata_head=$(head -n 1 "$TINY_CLOUD_VAR/user-data" | tr -d '\000' | sed 's/[[:space:]].*//')
	case "$userdata_head" in
	'#!'*) echo script ;;
	'#'*) echo "${userdata_head#\#}" ;;
	*) echo unknown ;;
	esac
}

USERDATA_TYPE=$(userdata_type)
if [ -f "$LIBDIR/tiny-cloud/user-data/$USERDATA_TYPE" ]; then
	# shellcheck source=/dev/null
	. "$LIBDIR/tiny-cloud/user-data/$USERDATA_TYPE"
fi
