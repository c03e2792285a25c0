# shellcheck shell=sh
# Makes the root filesystem and mounts it.
# Needs: ROOT_DEVICE, ROOT_LABEL, DIGEST, IMAGE_NAME, SOURCE_DATE_EPOCH, WORK. Leaves: ROOT, mounted with dev,
# proc and sys; ROOT_UUID.

make_filesystem() {
	say_step "making the root filesystem"
	# extlinux reads none of the features taken away here; inode tables are written now, not during the first boots
	ROOT_UUID=$(uuid_of root)
	export "E2FSPROGS_FAKE_TIME=$SOURCE_DATE_EPOCH"
	run mkfs.ext4 -q -F -L "$ROOT_LABEL" -U "$ROOT_UUID" \
		-O '^64bit,^metadata_csum_seed,^orphan_file' \
		-E "hash_seed=$(uuid_of hash),lazy_itable_init=0,lazy_journal_init=0" "$ROOT_DEVICE"
	ROOT=$WORK/root
	mkdir "$ROOT"
	run mount -t ext4 -o noatime "$ROOT_DEVICE" "$ROOT"
	rmdir "$ROOT/lost+found"
	enter_root
}
