# shellcheck shell=sh
# Takes away what belongs to the build, gives unused blocks back, unmounts and checks.
# Needs: DATA, ROOT, ROOT_DEVICE, WORK, APK, SOURCE_DATE_EPOCH. Leaves: the finished disk; $DATA/out/files, all that is
# on it; reports the result.

# folders below which nothing is kept
PASSING="tmp var/tmp var/cache/apk run"

finish() {
	say_step "cleaning up"
	packages=$("$APK" info --root "$ROOT" 2> /dev/null | grep -c .) || :
	clean_root
	tell_facts
	settle_times
	write_manifest
	say_step "trimming and checking the filesystem"
	sync
	used=$(df -B1 --output=used "$ROOT" | tail -n 1 | tr -d ' ')
	fstrim "$ROOT" || note "the disk can't be trimmed: the snapshot may be larger than it has to be"
	trimmed=$(bytes_in_use)
	leave_root || fail "the image's root can't be unmounted" "something still runs in it: check the setup script"
	ROOT=
	e2fsck -fn "$ROOT_DEVICE" > "$WORK/e2fsck" 2>&1 || {
		cat "$WORK/e2fsck" >&2
		fail "the new filesystem has errors" "the lines above say which: check the build VM's disk"
	}
	sync
	echo "guest: RESULT {\"used_bytes\": $used, \"trimmed_bytes\": $trimmed, \"packages\": $packages}"
}

# Of all blocks that the filesystem uses, its tables and journal among them: what a trim leaves.
bytes_in_use() {
	echo "$(lsblk -dbnro SIZE "$ROOT_DEVICE") $(stat -f -c '%f %S' "$ROOT")" | awk '{ printf "%.0f", $1 - $2 * $3 }'
}

# It says what goes: a key or a seed among it was made by the setup script or a package, and nobody would miss it else.
clean_root() {
	{
		for folder in $PASSING; do
			[ ! -d "$ROOT/$folder" ] || find "$ROOT/$folder" -mindepth 1 -xdev -print -delete
		done
		find "$ROOT/var/log" -xdev -type f -print -delete
		take_away "$ROOT"/etc/ssh/ssh_host_* "$ROOT/etc/machine-id" "$ROOT/etc/resolv.conf" "$ROOT"/etc/*- \
			"$ROOT/var/lib/dbus/machine-id" "$ROOT"/var/lib/dhcpcd/* "$ROOT"/var/lib/seedrng/* \
			"$ROOT"/root/.*_history "$ROOT"/home/*/.*_history "$ROOT/boot/extlinux.conf.new"
		find "$ROOT/etc" "$ROOT/boot" -xdev -name '*.apk-new' -print -delete
	} > "$WORK/removed"
	cut -c "$((${#ROOT} + 1))-" "$WORK/removed" | sort | tell_removed
}

# take_away FILE...: those that there are, which it names.
take_away() {
	for file in "$@"; do
		if [ -e "$file" ] || [ -L "$file" ]; then
			echo "$file"
			rm -f "$file"
		fi
	done
}

# tell_removed: the paths on standard input in one line; of folders that hold nothing for long only how many.
tell_removed() {
	awk -v passing="$PASSING" -v most=20 '
		BEGIN { split(passing, folders, " ") }
		{
			for (i in folders) if (index($0, "/" folders[i] "/") == 1) { short++; next }
			if (++count <= most) names = names " " $0
		}
		END {
			if (count > most) names = names " and " count - most " more"
			printf "guest: note: taken away:%s; and %d in %s\n", (count ? names : " nothing"), short, passing
		}'
}

# What the build wrote bears the time of the newest package instead of the build's own, so that two builds of the same
# are alike. The day in shadow is that of a password's last change, and nobody has one.
settle_times() {
	awk -F: -v OFS=: -v day="$((SOURCE_DATE_EPOCH / 86400))" '$3 > day { $3 = day } { print }' "$ROOT/etc/shadow" \
		> "$WORK/shadow"
	cat "$WORK/shadow" > "$ROOT/etc/shadow"
	leave_programs || fail "dev, proc or sys of the image can't be unmounted" "something still runs in it: check the setup script"
	# extlinux makes ldlinux.sys immutable, since it has noted where its blocks lie
	find "$ROOT" -xdev -newermt "@$SOURCE_DATE_EPOCH" ! -name ldlinux.sys \
		-exec touch --no-dereference --date "@$SOURCE_DATE_EPOCH" {} +
}

# A line for each file: path, type, mode, owner, group, and the SHA-256 of its content or where it leads.
write_manifest() {
	say_step "listing all files"
	(cd "$ROOT" && find . -xdev -type f -exec sha256sum {} +) > "$WORK/sums"
	(cd "$ROOT" && find . -xdev -mindepth 1 -printf '%p\t%y\t%m\t%U\t%G\t%l\n') \
		| awk -F '\t' -v OFS='\t' '
			FILENAME != "-" { sums[substr($0, 67)] = substr($0, 1, 64); next }
			{ if ($2 == "f") $6 = sums[$1]; sub(/^\./, "", $1); print }
		' "$WORK/sums" - | sort > "$WORK/files"
	mkdir -p "$DATA/out"
	{ printf '# path\ttype\tmode\towner\tgroup\tcontent\n' && cat "$WORK/files"; } > "$DATA/out/files"
}
