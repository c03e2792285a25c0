# shellcheck shell=sh
# Installs the packages with signatures on. What their triggers read (initramfs, boot loader) is written before.
# Needs: ROOT, ROOT_UUID, APK, KEYS, SOURCE_DATE_EPOCH and the settings. Leaves: an installed Alpine of the wanted release.

install_packages() {
	say_step "preparing the packages' settings"
	mkdir -p "$ROOT/etc/apk/keys"
	run cp "$KEYS"/*.rsa.pub "$ROOT/etc/apk/keys/"
	chmod 644 "$ROOT/etc/apk/keys"/*
	write_initramfs_settings
	! has_bios || write_extlinux_settings
	! has_uefi || write_grub_settings
	printf '%s\n' "$INSTALL_REPOSITORIES" | grep -v '^#' > "$WORK/repositories"
	begin_changes
	add_packages
	sed -i '/^SOURCE_DATE_EPOCH=/d' "$ROOT/etc/mkinitfs/mkinitfs.conf"
	check_release
	tell_changes packages
	printf '%s\n' "$REPOSITORIES" > "$ROOT/etc/apk/repositories"
	keep_keys
}

# The image trusts its own keys alone: not those that count while it is built, nor others that a package brings.
keep_keys() {
	for key in "$ROOT"/etc/apk/keys/*; do
		printf '%s\n' "$IMAGE_KEYS" | grep -Fqx "${key##*/}" || rm -f "$key"
	done
}

# The profile's features, in the form of mkinitfs's own file: Alpine's defaults give the file of the package.
write_initramfs_settings() {
	mkdir -p "$ROOT/etc/mkinitfs"
	echo "features=\"$(words "$INITFS_FEATURES")\"" > "$ROOT/etc/mkinitfs/mkinitfs.conf"
	# mkinitfs gives all files in the initramfs this time; the line is taken out again once it is made
	echo "SOURCE_DATE_EPOCH=$SOURCE_DATE_EPOCH" >> "$ROOT/etc/mkinitfs/mkinitfs.conf"
}

write_extlinux_settings() {
	cat > "$ROOT/etc/update-extlinux.conf" << EOF
# Read by update-extlinux, which writes /boot/extlinux.conf; timeout is in seconds.
overwrite=1
default_kernel_opts="$(words "$KERNEL_OPTIONS")"
modules=$(words "$KERNEL_MODULES" | tr ' ' ,)
root=UUID=$ROOT_UUID
verbose=0
hidden=1
timeout=1
default=$KERNEL_FLAVOR
serial_port=0
serial_baud=115200
password=''
EOF
}

# words TEXT: its words on one line.
words() {
	printf '%s' "$1" | tr -s '\n\t ' ' ' | sed 's/^ //; s/ $//'
}

add_packages() {
	say_step "reading the package index"
	echo 1 > "$WORK/apk.code"
	# the first of apk's lines `(1/46) Installing ...` says how many there are
	{
		# shellcheck disable=SC2086 # names, one a line
		apk_add "$ROOT" $PACKAGES 2>&1 && echo 0 > "$WORK/apk.code"
	} | tell_installs
	check_repositories
	[ "$(cat "$WORK/apk.code")" -eq 0 ] || explain_apk
}

# apk goes on without a repository that it can't read or doesn't trust; the image would lack what comes from there.
check_repositories() {
	lost=$(sed -nE 's,^(WARNING|ERROR): ([a-zA-Z ]+ )?([^ ]+)/[^/ ]+/APKINDEX\.tar\.gz: (.*)$,\3 \4,p' "$WORK/apk.log" | head -n 1)
	case "$lost" in
	'') ;;
	*signature*) fail "the repository ${lost%% *} is signed by no key that is trusted: ${lost#* }" \
		"name its key in the profile's keys, or take it out of repos" ;;
	*) fail "the repository ${lost%% *} can't be read: ${lost#* }" \
		"check its address in the profile's repos and the build VM's way to it" ;;
	esac
}

# Why apk installed nothing, or not all.
explain_apk() {
	missing=$(awk '
		/ \(no such package\):$/ { name = $1 }
		name && $1 == "required" {
			by = $3
			sub(/\[.*/, "", by)
			print name (by == "world" ? "" : " (for " by ")")
			name = ""
		}' "$WORK/apk.log" | paste -sd, | sed 's/,/, /g')
	[ -z "$missing" ] || fail "no repository has the package $missing" "check packages and repos in the profile"
	! grep -q 'No space left on device' "$WORK/apk.log" \
		|| fail "the root volume of $(root_mib) MiB is too small for the packages" "raise volume_size in the profile"
	fail "apk could not install the packages: $(apk_reason)" "check names, repositories and keys in the profile"
}

# apk_add FOLDER PACKAGES...: into a root at FOLDER, with signatures on.
apk_add() {
	folder=$1
	shift
	"$APK" add --root "$folder" --initdb --keys-dir "$KEYS" --arch "$ARCH" --no-cache --no-progress \
		--repositories-file "$WORK/repositories" "$@"
}

# apk_reason: apk's own words from its first warning or error on, on one line.
apk_reason() {
	sed -n '/^WARNING: /,$p; /^ERROR: /,$p' "$WORK/apk.log" | awk '!seen[$0]++' | tr -s '\n ' ' ' | cut -c 1-300
}

# Passes apk's words on as they come, and says what they mean to a person.
tell_installs() {
	while IFS= read -r line; do
		printf '%s\n' "$line"
		printf '%s\n' "$line" >> "$WORK/apk.log"
		case "$line" in
		'(1/'*') Installing '* | '( 1/'*') Installing '* | '(  1/'*') Installing '*)
			count=${line#*/}
			say_step "installing ${count%%)*} packages"
			;;
		*Executing\ mkinitfs-*trigger*) say_step "making the initramfs" ;;
		esac
	done
}

check_release() {
	[ -r "$ROOT/etc/alpine-release" ] || fail "what was installed is not Alpine: /etc/alpine-release is missing" \
		"put alpine-base among the packages"
	installed=$(cat "$ROOT/etc/alpine-release")
	if [ "$BRANCH" = edge ]; then
		note "edge is at $installed"
	elif [ "$installed" != "$RELEASE" ]; then
		fail "the mirror holds Alpine $installed, not $RELEASE" "a release has come out or the mirror lags: run it again later"
	fi
}
