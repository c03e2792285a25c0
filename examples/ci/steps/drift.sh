#!/bin/sh
# Reports in build/ci/drift.md how the images are doing, and changes nothing. Exit code 1 if somebody should look: an
# error of the doctor or of health, an image changed by others, or leftovers.
. examples/ci/steps/common.sh

report drift
code=0
section Doctor python -m omi doctor -s "$STACK" || code=1
section Health python -m omi health -s "$STACK" || code=1
grep -q -e 'was changed by others' -e 'are left over' "$ci/output.txt" && code=1
exit "$code"
