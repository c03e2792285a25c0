# shellcheck shell=sh
# The facts of the finished root for the verify, before its first boot can cover anything up.
# Needs: DATA, ROOT, WORK. Leaves: tell_facts, begin_changes, tell_changes.

# The probes that the program put beside image.env, at the root as it is now; it judges what they find.
tell_facts() {
	[ -f "$DATA/probe.sh" ] || return 0
	say_step "probing the finished root"
	TOP=$ROOT APK="chroot $ROOT apk" sh "$DATA/probe.sh" | sed 's/^/guest: FACT /'
}

# begin_changes: what is there before any package is ours, and in no package's name.
begin_changes() {
	(cd "$ROOT" && find etc ! -type d) | sort > "$WORK/changes"
}

# tell_changes WHO: what is not as its package brought it since the last call: WHO changed it.
tell_changes() {
	find "$ROOT" -xdev -lname '*/busybox' | cut -c "$((${#ROOT} + 2))-" > "$WORK/applets"
	for kind in --backup --full; do
		in_root apk audit "$kind" --recursive
	done | sed -n -e '/^. \(dev\|proc\|sys\)\//d' -e 's/^[^d] //p' | grep -vxFf "$WORK/applets" | sort -u > "$WORK/changes.now"
	comm -13 "$WORK/changes" "$WORK/changes.now" | sed "s/^/guest: FACT changed_by_$1=/"
	mv "$WORK/changes.now" "$WORK/changes"
}
