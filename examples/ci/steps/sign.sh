#!/bin/sh
# Writes the releases files from the stack's state and signs them, by the private SSH key whose text or file is in
# ALPINE_OMI_SIGNING_KEY. Without one they stay unsigned, which a folder that was signed once refuses.
set -eu

# Only the program that signs gets the key.
key=${ALPINE_OMI_SIGNING_KEY:-}
unset ALPINE_OMI_SIGNING_KEY
. examples/ci/steps/common.sh

if [ -f "$key" ]; then
	key=$(cat "$key")
fi
ALPINE_OMI_SIGNING_KEY=$key python -m omi publish -s "$STACK"
