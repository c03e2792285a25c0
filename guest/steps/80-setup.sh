# shellcheck shell=sh
# The profile's own script.
# Needs: SETUP_SCRIPT, SETUP_NAME, DATA, ROOT, WORK. Leaves: whatever that script does; the image's resolv.conf is the
# build VM's while it runs.

resolver=/etc/resolv.conf

run_setup_script() {
	[ -n "$SETUP_SCRIPT" ] || return 0
	say_step "running the profile's setup script"
	tell_changes guest
	mkdir -p "$DATA/setup"
	lend_resolver
	echo 1 > "$WORK/setup.code"
	{
		result=0
		(cd "$DATA/setup" && TARGET=$ROOT sh -e "$DATA/$SETUP_SCRIPT") 2>&1 || result=$?
		echo "$result" > "$WORK/setup.code"
	} | tee "$WORK/setup.log"
	result=$(cat "$WORK/setup.code")
	[ "$result" -eq 0 ] || fail "the setup script $SETUP_NAME ended with exit code $result$(last_words)" \
		"put it right, or the settings that it relies on"
	# 90-finish notes one that the script wrote itself
	! cmp -s "$resolver" "$ROOT/etc/resolv.conf" || rm -f "$ROOT/etc/resolv.conf"
	tell_changes setup
}

# The names that the build VM finds, the script finds by chroot, too. The image has no resolv.conf of its own before DHCP
# writes it; a link that a package brings would lead out of the image here.
lend_resolver() {
	rm -f "$ROOT/etc/resolv.conf"
	if [ -r "$resolver" ]; then
		run cp "$resolver" "$ROOT/etc/resolv.conf"
	else
		note "the build VM has no $resolver: by chroot the setup script finds no names"
	fi
}

# Its last line, as what went wrong usually stands there.
last_words() {
	grep . "$WORK/setup.log" | tail -n 1 | cut -c 1-200 | sed 's/^/: /'
}
