# shellcheck shell=sh
# The image's root while it is being made.
# Needs: ROOT (empty before it is mounted), DIGEST, IMAGE_NAME. Leaves: enter_root, leave_programs, leave_root, in_root,
# has_program, put_file, is_full, root_mib, uuid_of.

# Mounts what programs in the root want to see.
enter_root() {
	mkdir -p "$ROOT/dev" "$ROOT/proc" "$ROOT/sys"
	run mount --bind /dev "$ROOT/dev"
	run mount -t proc proc "$ROOT/proc"
	run mount -t sysfs -o ro sysfs "$ROOT/sys"
}

# Unmounts what enter_root mounted; says nothing of what isn't mounted.
leave_programs() {
	unmount "$ROOT/sys" "$ROOT/proc" "$ROOT/dev"
}

# Unmounts all of it, the root included.
leave_root() {
	[ -z "$ROOT" ] || unmount "$ROOT/sys" "$ROOT/proc" "$ROOT/dev" "$ROOT"
}

# unmount PLACE...: 1 if one of them can't be.
unmount() {
	left=0
	for place in "$@"; do
		if mountpoint -q "$place"; then
			umount "$place" || left=1
		fi
	done
	return "$left"
}

# in_root COMMAND...: run it in the image with nothing of the build VM's environment.
in_root() {
	chroot "$ROOT" /usr/bin/env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/root "$@"
}

# has_program NAME: whether the image has it.
has_program() {
	[ -x "$ROOT/usr/bin/$1" ] || [ -x "$ROOT/usr/sbin/$1" ] || [ -x "$ROOT/bin/$1" ] || [ -x "$ROOT/sbin/$1" ]
}

# Whether no file of a usual size finds room in the root any more.
is_full() {
	[ -n "${ROOT:-}" ] && mountpoint -q "$ROOT" && [ "$(df -k --output=avail "$ROOT" | tail -n 1)" -lt 1024 ]
}

root_mib() {
	df -m --output=size "$ROOT" | tail -n 1 | tr -d ' '
}

# put_file NAME MODE PLACE: a file of guest/files into the image.
put_file() {
	mkdir -p "$(dirname "$ROOT$3")"
	run cp "$GUEST/files/$1" "$ROOT$3"
	run chmod "$2" "$ROOT$3"
}

# uuid_of THING: a UUID that follows from the image's content and name, so that two builds of the same have the same.
uuid_of() {
	printf '%s %s %s' "$DIGEST" "$IMAGE_NAME" "$1" | sha256sum \
		| sed -E 's/^(.{8})(.{4}).(.{3}).(.{3})(.{12}).*/\1-\2-8\3-8\4-\5/'
}
