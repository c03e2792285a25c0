#!/bin/sh
# Shows what an update would do, in build/ci/preview.md. It changes nothing.
. examples/ci/steps/common.sh

report preview
section "Preview of $STACK" in_stack preview
