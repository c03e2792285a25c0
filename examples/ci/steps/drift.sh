#!/bin/sh
# Reports in build/ci/drift.md how the account differs from the stack's state. It changes nothing. Exit code 1 if
# somebody should look: an error of the doctor, a refused plan, an image changed by others, or leftovers.
. examples/ci/steps/common.sh

report drift
code=0
section Doctor python -m omi doctor -s "$STACK" || code=1
section Plan python -m omi plan -s "$STACK" || code=1
if grep -E ' (put back|mark missing|found again) ' "$ci/output.txt"; then
	echo 'ci: the account was changed by others'
	code=1
fi
section Leftovers python -m omi sweep -s "$STACK" || code=1
grep -q '^Nothing is left over' "$ci/output.txt" || code=1
exit "$code"
