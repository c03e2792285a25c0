# shellcheck shell=sh
# The user and SSH.
# Needs: ROOT, USER_NAME, PRIVILEGES. Leaves: an image into which only a key from the cloud gives access.

set_up_access() {
	say_step "setting up the user $USER_NAME and SSH"
	add_user
	harden_sshd
}

add_user() {
	if ! grep -q "^$USER_NAME:" "$ROOT/etc/passwd"; then
		run in_root adduser -D -g "$USER_NAME" -s /bin/sh "$USER_NAME"
	fi
	[ "$PRIVILEGES" = none ] || run in_root addgroup "$USER_NAME" wheel
	# * is a password that nobody can give, and not the lock (!) that keeps sshd from taking a key
	sed -i -e "s/^$USER_NAME:[^:]*:/$USER_NAME:*:/" -e 's/^root:[^:]*:/root:*:/' "$ROOT/etc/shadow"
	case "$PRIVILEGES" in
	doas) let_wheel doas /etc/doas.d/wheel.conf 640 'permit nopass :wheel' ;;
	sudo) let_wheel sudo /etc/sudoers.d/wheel 440 '%wheel ALL=(ALL) NOPASSWD: ALL' ;;
	none) note "neither doas nor sudo is set up: $USER_NAME can't become root" ;;
	*) fail "PRIVILEGES is $PRIVILEGES" "doas, sudo and none are known" ;;
	esac
}

# let_wheel PROGRAM FILE MODE RULE: the group wheel becomes root by PROGRAM without a password.
let_wheel() {
	has_program "$1" || fail "$1 is not installed" "add the package $1, or set privileges in the profile"
	mkdir -p "$(dirname "$ROOT$2")"
	echo "$4" > "$ROOT$2"
	run chmod "$3" "$ROOT$2"
}

harden_sshd() {
	config=$ROOT/etc/ssh/sshd_config
	if [ ! -f "$config" ]; then
		note "no SSH server is installed"
		return
	fi
	put_file sshd.conf 644 /etc/ssh/sshd_config.d/00-omi.conf
	# sshd takes the first value it reads, so the folder has to come before everything else
	if ! grep -Eiq '^include[[:space:]]+/etc/ssh/sshd_config\.d/\*\.conf' "$config"; then
		{ echo 'Include /etc/ssh/sshd_config.d/*.conf'; cat "$config"; } > "$WORK/sshd_config"
		cat "$WORK/sshd_config" > "$config"
	fi
	# one host key is enough, and sshd's service would make three
	touch "$ROOT/etc/conf.d/sshd"
	sed -i -e '/^sshd_disable_keygen=/d' -e '/^key_types_to_generate=/d' "$ROOT/etc/conf.d/sshd"
	echo 'key_types_to_generate="ed25519"' >> "$ROOT/etc/conf.d/sshd"
}
