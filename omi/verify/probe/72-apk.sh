# shellcheck shell=sh
# apk's repositories, its keys with their digests, and the packages that are installed, NAME=VERSION.
sed 's/^/apk_repository=/' /etc/apk/repositories
for key in /etc/apk/keys/*; do
	[ ! -e "$key" ] || echo "apk_key=${key##*/} $(sha256sum < "$key" | cut -d' ' -f1)"
done
apk info -v 2> /dev/null < /dev/null | sed 's/^\(.*\)-\([0-9]\)/apk_installed=\1=\2/'
