# shellcheck shell=sh
# What the image says that it is.
echo "omi_release_mode=$(stat -c '%U %a' /etc/alpine-omi-release)"
sed 's/^/omi_release=/' /etc/alpine-omi-release
