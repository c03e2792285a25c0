# shellcheck shell=sh
# That all of it ran.
echo "end=yes"
