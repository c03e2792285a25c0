# shellcheck shell=sh
# The profile's own script.
# Needs: SETUP_SCRIPT, DATA, ROOT. Leaves: whatever that script does.

run_setup_script() {
	[ -n "$SETUP_SCRIPT" ] || return 0
	say_step "running the profile's setup script"
	tell_changes guest
	mkdir -p "$DATA/setup"
	(cd "$DATA/setup" && TARGET=$ROOT sh "$DATA/$SETUP_SCRIPT") \
		|| fail "the profile's setup script ended with exit code $?" "the lines above say why"
	tell_changes setup --system
}
