#!/bin/sh
# Starts the stand-in with the Python that Pulumi runs the program with, the first on PATH. -I: nothing of the caller's
# Python environment is taken over.
exec python3 -I "${0%/*}/command_provider" "$@"
