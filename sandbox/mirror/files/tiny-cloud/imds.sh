#!/bin/sh
# Stand-in for tiny-cloud's bin/imds, the client of the metadata service: imds [-e|+e|-E|+E|+n|+s|+t|@ALIAS|PATH]...
# shellcheck disable=SC2034 # providers and later versions of the questions use them

: "${LIBDIR:=/lib}"
# shellcheck source=common.sh
. "$LIBDIR/tiny-cloud/common"

IMDS_ENDPOINT=169.254.169.254
IMDS_URI=
IMDS_QUERY=
IMDS_HOSTNAME=meta-data/hostname
IMDS_LOCAL_HOSTNAME=meta-data/local-hostname
IMDS_SSH_KEYS=meta-data/public-keys
IMDS_USERDATA=user-data

_imds() {
	wget -q -T 1 -O - --header "$(_imds_header)" "http://$IMDS_ENDPOINT/$IMDS_URI/$1$IMDS_QUERY"
}

_imds_userdata() {
	_imds "$IMDS_USERDATA"
}

_imds_ssh_keys() {
	_imds "$IMDS_SSH_KEYS" | while IFS='=' read -r number _; do
		_imds "$IMDS_SSH_KEYS/$number/openssh-key"
	done | sort -u
}

[ -r "$LIBDIR/tiny-cloud/cloud/$CLOUD/imds" ] || echo "ERROR: Unknown Cloud '$CLOUD'" >&2
# shellcheck source=/dev/null
. "$LIBDIR/tiny-cloud/cloud/$CLOUD/imds"

ask() {
	case "$1" in
	@hostname) _imds "$IMDS_HOSTNAME" ;;
	@local-hostname) _imds "$IMDS_LOCAL_HOSTNAME" ;;
	@ssh-keys) _imds_ssh_keys ;;
	@userdata) _imds_userdata ;;
	*) _imds "$1" ;;
	esac
}

stop_at_error=yes
aloud=yes
for word; do
	case "$word" in
	-e) stop_at_error= ;;
	+e) stop_at_error=yes ;;
	-E) aloud= ;;
	+E) aloud=yes ;;
	+n) echo ;;
	+s) printf ' ' ;;
	+t) printf '\t' ;;
	*)
		code=0
		if [ -n "$aloud" ]; then ask "$word"; else ask "$word" 2> /dev/null; fi || code=$?
		[ "$code" -eq 0 ] || [ -z "$stop_at_error" ] || exit "$code"
		;;
	esac
done
