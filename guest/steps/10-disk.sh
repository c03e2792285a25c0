# shellcheck shell=sh
# Finds the empty disk that becomes the image, and never guesses.
# Needs: DISK_DEVICE, DISK_SIZE_BYTES. Leaves: DISK, the block device.
#
# The cloud names a volume by its API device (/dev/xvdf) in /dev/disk/by-id/*_sdf. Where there is no such link, the one
# disk of exactly the right size without anything on it is taken. Otherwise the build stops and lists what was seen.

: "${BY_ID:=/dev/disk/by-id}"
: "${DISK_SECONDS:=20}"

choose_disk() {
	say_step "looking for the empty disk"
	letter=${DISK_DEVICE#"${DISK_DEVICE%?}"}
	case "$letter" in
	[a-z]) ;;
	*) fail "DISK_DEVICE $DISK_DEVICE ends in no letter" "give it as the API does, such as /dev/xvdf" ;;
	esac
	waited=0
	while ! find_disk; do
		[ "$waited" -lt "$DISK_SECONDS" ] || no_disk
		sleep 1
		waited=$((waited + 1))
	done
	reason=$(why_not_empty "$DISK")
	[ -z "$reason" ] || fail "the disk for $DISK_DEVICE, $DISK, $reason" "attach an empty volume"
	size=$(lsblk -dbnro SIZE "$DISK")
	[ "$size" = "$DISK_SIZE_BYTES" ] || fail "the disk for $DISK_DEVICE, $DISK, has $size bytes, not $DISK_SIZE_BYTES" \
		"attach a volume of the profile's volume_size"
	note "the image goes to $DISK ($size bytes)"
}

# Sets DISK where there is exactly one candidate.
find_disk() {
	DISK=$(linked_disk)
	[ -n "$DISK" ] || DISK=$(disks_of_size)
	[ "$(printf '%s' "$DISK" | grep -c .)" -eq 1 ]
}

# What the API's device name leads to; several links may lead to one disk.
linked_disk() {
	for link in "$BY_ID"/*"_sd$letter"; do
		[ ! -e "$link" ] || readlink -f "$link"
	done | sort -u
}

# Every disk of exactly the right size with nothing on it.
disks_of_size() {
	lsblk -dbnpro NAME,TYPE,SIZE | while read -r name type size; do
		if [ "$type" = disk ] && [ "$size" = "$DISK_SIZE_BYTES" ] && [ -z "$(why_not_empty "$name")" ]; then
			echo "$name"
		fi
	done
}

# why_not_empty DISK: what is on it, or nothing.
why_not_empty() {
	if [ "$(lsblk -nro NAME "$1" | grep -c .)" -gt 1 ]; then
		echo "has partitions or is in use"
	elif lsblk -nro MOUNTPOINT "$1" | grep -q .; then
		echo "is mounted"
	else
		found=$(blkid -p -o value -s PTTYPE -s TYPE -s USAGE "$1" | paste -sd' ') || :
		[ -z "$found" ] || echo "is not empty: it holds $found"
	fi
}

no_disk() {
	echo "what was seen in $BY_ID:" >&2
	ls -l "$BY_ID" >&2 || :
	echo "all disks:" >&2
	lsblk -bo NAME,TYPE,SIZE,FSTYPE,MOUNTPOINT >&2 || :
	fail "no disk is known as $DISK_DEVICE, and not exactly one empty disk has $DISK_SIZE_BYTES bytes" \
		"attach one empty volume of that size"
}
