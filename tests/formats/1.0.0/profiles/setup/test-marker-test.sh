#!/bin/sh
# The setup script's file is there, and root's alone.
set -eu
test "$(id -un)" = tester
test "$(sudo stat -c '%U %a' /etc/omi-test-marker)" = "root 600"
echo "marker seen by $(id -un)"
