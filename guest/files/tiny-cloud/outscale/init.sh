# shellcheck shell=sh disable=SC2034 # tiny-cloud reads INIT_ACTIONS_FINAL
# OUTSCALE for tiny-cloud's phases.
# Needs: tiny-cloud's init, which reads this. Leaves: one more action in its last phase, before user data is run, and in
# its first none of those that /etc/tiny-cloud.conf skips, for which it would start five processes each to say so.

: "${OUTSCALE_UNANSWERED:=/run/outscale-unanswered}"

# A set-up for which the metadata service was silent is not complete: tiny-cloud stops here, the next boot tries again.
init__metadata_answered() {
	[ -e "$OUTSCALE_UNANSWERED" ] || return 0
	echo "the metadata service did not tell $(sort -u "$OUTSCALE_UNANSWERED" | tr '\n' ' ')" >&2
	return 1
}

INIT_ACTIONS_FINAL="metadata_answered $INIT_ACTIONS_FINAL"

_outscale_actions=
for _outscale_action in $INIT_ACTIONS_BOOT; do
	for _outscale_skipped in $SKIP_INIT_ACTIONS; do
		[ "$_outscale_action" != "$_outscale_skipped" ] || continue 2
	done
	_outscale_actions="$_outscale_actions $_outscale_action"
done
INIT_ACTIONS_BOOT=$_outscale_actions
