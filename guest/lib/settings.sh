# shellcheck shell=sh
# The image's settings and the tools that the scripts use.
# Needs: DATA. Leaves: the names of image.env (README.md), those that may not be empty checked; KEYS, the folder of trusted
# keys.

required="IMAGE_NAME RELEASE BRANCH ARCH MIRROR DISK_SIZE_BYTES DISK_DEVICE FIRMWARE ROOT_LABEL HOSTNAME USER_NAME
	REPOSITORIES INSTALL_REPOSITORIES PACKAGES KERNEL_FLAVOR BOOTSTRAP METADATA_URL PRIVILEGES IMAGE_KEYS
	PROFILE BUILD REVISION DIGEST COMMIT TOOLS"
tools="awk base64 blkid chroot cmp dd e2fsck fstrim gzip lsblk mkfs.ext4 mount mountpoint openssl partx sfdisk
	sha256sum tar truncate umount xargs"

load_settings() {
	say_step "reading the image's settings"
	[ -r "$DATA/image.env" ] || fail "$DATA/image.env is missing" "the program writes it; see guest/README.md"
	for name in $required; do
		eval "$name="
	done
	# shellcheck source=/dev/null
	. "$DATA/image.env"
	for name in $required; do
		eval "value=\$$name"
		[ -n "$value" ] || fail "image.env says no $name" "the program writes it; see guest/README.md"
	done
	KEYS=$DATA/keys
	set -- "$KEYS"/*.rsa.pub
	[ -f "$1" ] || fail "$KEYS holds no *.rsa.pub" "name the keys that sign the packages in the profile"
	[ "$USER_NAME" != root ] || fail "USER_NAME is root" "root can't log in by SSH: name another user"
	[ -z "$SETUP_SCRIPT" ] || [ -f "$DATA/$SETUP_SCRIPT" ] \
		|| fail "the setup script $SETUP_SCRIPT is not in $DATA" "the program writes it; see guest/README.md"
}

need_tools() {
	[ "$(id -u)" -eq 0 ] || fail "this user is not root" "run it by sudo"
	for tool in $tools; do
		command -v "$tool" > /dev/null \
			|| fail "$tool is missing in the build VM" "use a source OMI of Debian 12 that has it"
	done
	command -v curl > /dev/null || command -v wget > /dev/null \
		|| fail "neither curl nor wget is in the build VM" "use a source OMI of Debian 12 that has one"
}
