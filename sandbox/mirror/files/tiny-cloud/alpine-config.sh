# shellcheck shell=sh
# Stand-in for tiny-cloud's handler of #alpine-config: what #cloud-config has; the keys apk and autoinstall are missing.

# shellcheck source=cloud-config.sh
. "$LIBDIR/tiny-cloud/user-data/cloud-config"
