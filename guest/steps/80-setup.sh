# shellcheck shell=sh
# The profile's own script.
# Needs: SETUP_SCRIPT, SETUP_NAME, DATA, ROOT, WORK. Leaves: whatever that script does.

run_setup_script() {
	[ -n "$SETUP_SCRIPT" ] || return 0
	say_step "running the profile's setup script"
	tell_changes guest
	mkdir -p "$DATA/setup"
	echo 1 > "$WORK/setup.code"
	{
		result=0
		(cd "$DATA/setup" && TARGET=$ROOT sh "$DATA/$SETUP_SCRIPT") 2>&1 || result=$?
		echo "$result" > "$WORK/setup.code"
	} | tee "$WORK/setup.log"
	result=$(cat "$WORK/setup.code")
	[ "$result" -eq 0 ] || fail "the setup script $SETUP_NAME ended with exit code $result$(last_words)" \
		"put it right, or the settings that it relies on"
	tell_changes setup --system
}

# Its last line, as what went wrong usually stands there.
last_words() {
	grep . "$WORK/setup.log" | tail -n 1 | cut -c 1-200 | sed 's/^/: /'
}
