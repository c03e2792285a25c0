# shellcheck shell=sh disable=SC2034 # tiny-cloud reads INIT_ACTIONS_FINAL
# OUTSCALE for tiny-cloud's phases.
# Needs: tiny-cloud's init, which reads this. Leaves: one more action in its last phase, before user data is run.

: "${OUTSCALE_UNANSWERED:=/run/outscale-unanswered}"

# A set-up for which the metadata service was silent is not complete: tiny-cloud stops here, the next boot tries again.
init__metadata_answered() {
	[ -e "$OUTSCALE_UNANSWERED" ] || return 0
	echo "the metadata service did not tell $(sort -u "$OUTSCALE_UNANSWERED" | tr '\n' ' ')" >&2
	return 1
}

INIT_ACTIONS_FINAL="metadata_answered $INIT_ACTIONS_FINAL"
