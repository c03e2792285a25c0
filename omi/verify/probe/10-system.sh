# shellcheck shell=sh
# Release, kernel and the user who probes.
echo "release=$(cat /etc/alpine-release)"
echo "kernel=$(uname -r)"
[ -d "/lib/modules/$(uname -r)" ] && echo "kernel_modules=yes" || echo "kernel_modules=no"
echo "user=$(id -un)"
