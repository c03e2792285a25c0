# shellcheck shell=sh
# What a login shows, kernel parameters, the local time.
# Needs: ROOT, WORK, MOTD, SYSCTL, TIMEZONE (each may be empty) and apk_add. Leaves: /etc/motd, /etc/sysctl.d/90-omi.conf,
# /etc/localtime; Alpine's own where nothing is said.

set_up_settings() {
	say_step "writing the profile's settings"
	[ -z "$MOTD" ] || printf '%s\n' "$MOTD" > "$ROOT/etc/motd"
	if [ -n "$SYSCTL" ]; then
		mkdir -p "$ROOT/etc/sysctl.d"
		printf '%s\n' "$SYSCTL" > "$ROOT/etc/sysctl.d/90-omi.conf"
	fi
	[ -z "$TIMEZONE" ] || set_timezone
}

# As Alpine's setup-timezone does: of a few hundred zones only the one file that is used. Where tzdata is installed its
# own file serves, so that its updates count.
set_timezone() {
	zone=/usr/share/zoneinfo/$TIMEZONE
	if [ ! -f "$ROOT$zone" ]; then
		say_step "fetching the time zone $TIMEZONE"
		apk_add "$WORK/zones" tzdata > "$WORK/zones.log" 2>&1 || {
			cat "$WORK/zones.log"
			fail "the package tzdata can't be had for the time zone $TIMEZONE" "check the profile's repos, or leave timezone out"
		}
		[ -f "$WORK/zones$zone" ] || fail "tzdata knows no time zone $TIMEZONE" "put the profile's timezone right"
		mkdir -p "$(dirname "$ROOT/etc/zoneinfo/$TIMEZONE")"
		run cp "$WORK/zones$zone" "$ROOT/etc/zoneinfo/$TIMEZONE"
		zone=/etc/zoneinfo/$TIMEZONE
	fi
	run ln -snf "$zone" "$ROOT/etc/localtime"
}
