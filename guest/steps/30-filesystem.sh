# shellcheck shell=sh
# Makes the root filesystem and mounts it.
# Needs: ROOT_DEVICE, ROOT_LABEL, WORK. Leaves: ROOT, mounted with dev, proc and sys; ROOT_UUID.

make_filesystem() {
	say_step "making the root filesystem"
	# extlinux reads none of the features taken away here; inode tables are written now, not during the first boots
	run mkfs.ext4 -q -F -L "$ROOT_LABEL" -O '^64bit,^metadata_csum_seed,^orphan_file' \
		-E lazy_itable_init=0,lazy_journal_init=0 "$ROOT_DEVICE"
	ROOT_UUID=$(blkid -p -o value -s UUID "$ROOT_DEVICE")
	[ -n "$ROOT_UUID" ] || fail "the new filesystem on $ROOT_DEVICE has no UUID" "check the build VM's e2fsprogs"
	ROOT=$WORK/root
	mkdir "$ROOT"
	run mount -t ext4 -o noatime "$ROOT_DEVICE" "$ROOT"
	rmdir "$ROOT/lost+found"
	enter_root
}
