# shellcheck shell=sh
# Where the root filesystem goes: onto the disk itself for BIOS, else into the second of two partitions.
# Needs: FIRMWARE, DISK, DIGEST, IMAGE_NAME, WORK. Leaves: ROOT_DEVICE; ESP_DEVICE, the EFI system
# partition, empty without UEFI.
#
# UEFI wants a GPT and an EFI system partition. For hybrid the root partition bears GPT's mark for a BIOS's loader too.

: "${PARTITION_SECONDS:=20}"
# one file of some hundred kilobytes lies in it; this leaves room for another loader
ESP_MIB=16

make_partitions() {
	ROOT_DEVICE=$DISK
	ESP_DEVICE=
	has_uefi || return 0
	say_step "partitioning the disk"
	attributes=
	! has_bios || attributes=', attrs=LegacyBIOSBootable'
	cat > "$WORK/partitions" << EOF
label: gpt
label-id: $(uuid_of disk)
size=${ESP_MIB}MiB, type=uefi, name=esp, uuid=$(uuid_of esp)
type=linux, name=root, uuid=$(uuid_of root-partition)$attributes
EOF
	run sfdisk -q --no-reread --no-tell-kernel "$DISK" < "$WORK/partitions"
	run partx --update "$DISK"
	waited=0
	until find_partitions; do
		[ "$waited" -lt "$PARTITION_SECONDS" ] \
			|| fail "the kernel shows no partitions of $DISK" "check the build VM's kernel"
		sleep 1
		waited=$((waited + 1))
	done
	note "the partition for UEFI is $ESP_DEVICE, the root's $ROOT_DEVICE"
}

find_partitions() {
	ESP_DEVICE=$(partition 1)
	ROOT_DEVICE=$(partition 2)
	[ -b "$ESP_DEVICE" ] && [ -b "$ROOT_DEVICE" ]
}

# partition NUMBER: the device of this partition of the disk, or nothing.
partition() {
	for entry in "/sys/class/block/${DISK##*/}"/*/partition; do
		[ "$(cat "$entry" 2> /dev/null)" != "$1" ] || basename "${entry%/partition}" | sed 's|^|/dev/|'
	done
}

has_uefi() {
	[ "$FIRMWARE" != bios ]
}

has_bios() {
	[ "$FIRMWARE" != uefi ]
}
