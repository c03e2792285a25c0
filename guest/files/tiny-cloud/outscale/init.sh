# shellcheck shell=sh disable=SC2034,SC2317 # tiny-cloud reads INIT_ACTIONS_*, and runs what they name
# OUTSCALE for tiny-cloud's phases: access comes first and is tried again until it is there, user data is begun once.
# Needs: tiny-cloud's init, which reads this before the handler of the user data's type.
# Leaves: in phase main an action before all others and in phase final one before those of user data.
#
# By itself tiny-cloud ends phase main at the first action that fails, of user data or not, and its phase final marks the
# set-up as complete whatever became of phase main.

: "${OUTSCALE_UNANSWERED:=/run/outscale-unanswered}"
: "${OUTSCALE_STARTED:=/run/outscale-user-data}"
: "${OUTSCALE_BEGUN:=$TINY_CLOUD_VAR/outscale-user-data}"

# First in phase main: key and host name, for the image's own user, whomever user data names later. User data begins
# only once it, key and host name are there; of a set-up that an earlier boot began nothing is repeated.
init__outscale_access() {
	if [ -e "$OUTSCALE_BEGUN" ]; then
		SKIP_INIT_ACTIONS="$SKIP_INIT_ACTIONS $INIT_ACTIONS_MAIN"
		return 0
	fi
	for _outscale_action in $(_outscale_kept create_default_user set_ssh_keys set_hostname); do
		"init__$_outscale_action" || echo "$_outscale_action" >> "$OUTSCALE_UNANSWERED"
	done
	if [ -e "$OUTSCALE_UNANSWERED" ] || [ ! -e "$TINY_CLOUD_VAR/user-data" ]; then
		SKIP_INIT_ACTIONS="$SKIP_INIT_ACTIONS $INIT_ACTIONS_MAIN"
		return 0
	fi
	_outscale_report_ignored
	# tiny-cloud's own action is where handlers put theirs, but each run adds a line to /etc/hosts
	init__set_hostname() { :; }
	: > "$OUTSCALE_BEGUN" && : > "$OUTSCALE_STARTED" && trap '_outscale_report $?' EXIT
}

# tiny-cloud is silent about what it ignores: types that it has no handler for, keys that it has no action for.
_outscale_report_ignored() {
	if [ ! -f "$LIBDIR/tiny-cloud/user-data/$USERDATA_TYPE" ]; then
		log -i err "user data of the type $USERDATA_TYPE is ignored: tiny-cloud has no handler for it"
		return 0
	fi
	case "$USERDATA_TYPE" in
	*-config) ;;
	*) return 0 ;;
	esac
	# shellcheck disable=SC2086 # a list of words
	set -- $INIT_ACTIONS_MAIN $INIT_ACTIONS_FINAL
	LC_ALL=C sed -n -E "s/^[\"']?([A-Za-z0-9_.-]+)[\"']? *:.*/\\1/p" "$TINY_CLOUD_VAR/user-data" \
		| while read -r _outscale_name; do
			case "$_outscale_name: $* " in
			"apk: "*" userdata_apk_"* | *" userdata_$_outscale_name "* | *" $_outscale_name "*) ;;
			*) log -i err "'$_outscale_name' of the user data is ignored: tiny-cloud has no action for it" ;;
			esac
		done
}

# First in phase final: whatever becomes of user data that began at this boot, the set-up is complete then.
init__outscale_final() {
	if [ -e "$OUTSCALE_STARTED" ]; then
		trap '_outscale_complete $?' EXIT
	elif [ -e "$OUTSCALE_BEGUN" ]; then
		SKIP_INIT_ACTIONS="$SKIP_INIT_ACTIONS $INIT_ACTIONS_FINAL"
		log -i err "user data began at an earlier boot, which ended before it; it is not run again"
		_outscale_complete 0
	else
		_outscale_missing=$(sort -u "$OUTSCALE_UNANSWERED" 2> /dev/null | tr '\n' ' ')
		log -i err "the metadata service did not give ${_outscale_missing:-anything: is there a network? }" \
			"(the next boot asks again)"
		return 1
	fi
}

# _outscale_complete CODE: where phase final ends.
_outscale_complete() {
	_outscale_report "$1"
	tiny-cloud --bootstrap complete && rm -f "$OUTSCALE_BEGUN"
}

# _outscale_report CODE: to the console and the system's log; tiny-cloud leaves its action's name in ACTION.
_outscale_report() {
	[ "$1" -eq 0 ] || log -i err "user data failed at $ACTION; it is not run again"
}

# _outscale_kept ACTION...: those that /etc/tiny-cloud.conf does not skip.
_outscale_kept() {
	for _outscale_word; do
		for _outscale_skipped in $SKIP_INIT_ACTIONS; do
			[ "$_outscale_word" != "$_outscale_skipped" ] || continue 2
		done
		echo "$_outscale_word"
	done
}

[ ! -e "$OUTSCALE_BEGUN" ] || INIT_ACTIONS_EARLY=
INIT_ACTIONS_MAIN="outscale_access create_default_user set_ssh_keys set_hostname"
INIT_ACTIONS_FINAL="outscale_final $INIT_ACTIONS_FINAL"
