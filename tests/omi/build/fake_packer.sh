#!/bin/sh
# A packer for tests: tells what it is and has by itself, and leaves a build to fake_packer.py, which takes longer to start.
# Needs, beside itself: that file, `python` (the interpreter) and `plugin` (the version of the OUTSCALE plugin).
set -eu
here=$(dirname -- "$0")
case $1 in
version) echo 'Packer v1.16.0' ;;
plugins) echo "/plugins/github.com/outscale/outscale/packer-plugin-outscale_v$(cat "$here/plugin")_x5.0_linux_amd64" ;;
*) exec "$here/python" "$here/fake_packer.py" "$@" ;;
esac
