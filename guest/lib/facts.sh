# shellcheck shell=sh
# What the verify is told of the finished root, before its first boot can cover anything up.
# Needs: DATA, ROOT, WORK. Leaves: tell_facts, tell_changes.

# The looks that the program put beside image.env, at the root as it is now; it judges what they find.
tell_facts() {
	[ -f "$DATA/look.sh" ] || return 0
	say_step "looking over the finished root"
	TOP=$ROOT APK="chroot $ROOT apk" sh "$DATA/look.sh" | sed 's/^/guest: FACT /'
}

# tell_changes WHO [--system]: what is not as its package brought it since the last call: WHO changed it. Outside of
# /etc only with --system, which reads every file.
tell_changes() {
	touch "$WORK/changes"
	for kind in --recursive ${2:-}; do
		in_root apk audit "$kind"
	done | sed -n 's/^[^d] //p' | sort -u > "$WORK/changes.now"
	comm -13 "$WORK/changes" "$WORK/changes.now" | sed "s/^/guest: FACT changed_by_$1=/"
	mv "$WORK/changes.now" "$WORK/changes"
}
