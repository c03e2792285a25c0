#!/bin/sh
# Updates the stack; build/ci/update.md is its report. A run that was killed before it is cleaned up first.
#
#   LOCK_HOURS   a lock older than this is of a run that ended: longer than any run may take (7); 0 breaks any lock
#
# The CI lets one update run at a time, so a lock is either of a person's update or of a run that was killed.
. examples/ci/steps/common.sh

# Prints since when the stack is locked, if it is. The doctor's findings are no reason not to try.
locked_since() {
	sed -n 's/^error  *lock  .*, since \([^)]*\)).*/\1/p' "$ci/output.txt"
}

is_old() { # TIMESTAMP
	python3 - "$1" "${LOCK_HOURS:-7}" <<-'PYTHON'
		import sys
		from datetime import UTC, datetime, timedelta

		age = datetime.now(UTC) - datetime.fromisoformat(sys.argv[1])
		sys.exit(age < timedelta(hours=float(sys.argv[2])))
	PYTHON
}

pending() { # prints how many operations the state holds for unfinished
	in_stack stack export |
		python3 -c 'import json, sys; print(len(json.load(sys.stdin)["deployment"].get("pending_operations") or []))'
}

report update
section Doctor python -m omi doctor -s "$STACK" || echo 'ci: the update is tried all the same'
since=$(locked_since)
if [ -n "$since" ]; then
	is_old "$since" || fail "the stack is locked since $since: wait for that update; if none runs, run this with LOCK_HOURS=0"
	section 'The lock of a run that ended' in_stack cancel --yes
fi
unfinished=$(pending)
if [ "$unfinished" -gt 0 ]; then
	section 'Operations of a run that ended' in_stack refresh --yes --skip-preview --clear-pending-creates
fi
code=0
section "Update of $STACK" in_stack up --yes --skip-preview || code=$?
section 'Leftovers of runs that ended' python -m omi sweep -s "$STACK" --yes || code=$?
exit "$code"
