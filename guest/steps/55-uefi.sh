# shellcheck shell=sh
# The loader for UEFI: GRUB, in one file where firmware looks for it on a disk that it knows nothing of.
# Needs: FIRMWARE, ROOT, ROOT_UUID, ESP_DEVICE, KERNEL_FLAVOR, APK, KEYS, SOURCE_DATE_EPOCH, WORK. Leaves: an EFI system
# partition, mounted by /etc/fstab on /boot/efi.
#
# The file holds all the modules that Alpine's menu asks for. So what an upgrade does to the package grub, or to the
# menu by its trigger, never meets a loader of another version. The partition is made as a file by mtools from the
# mirror, which needs neither a mount nor any tool of the build VM.

GRUB_MODULES="all_video boot cat configfile echo efi_gop efifwsetup ext2 fat gettext gzio halt help linux loadenv ls
	minicmd normal part_gpt part_msdos reboot search search_fs_uuid search_label sleep terminal test"

set_up_uefi() {
	has_uefi || return 0
	say_step "installing the loader for UEFI"
	check_menu
	make_loader
	fill_esp
	mkdir -p "$ROOT/boot/efi"
	uuid=$(blkid -p -o value -s UUID "$ESP_DEVICE")
	printf 'UUID=%s\t/boot/efi\tvfat\trw,noatime,umask=0077\t0 0\n' "$uuid" >> "$ROOT/etc/fstab"
}

# Before the packages are installed: what grub's trigger reads when it writes the menu.
write_grub_settings() {
	options="modules=$(words "$KERNEL_MODULES" | tr ' ' ,) $(words "$KERNEL_OPTIONS")"
	# Alpine's GRUB puts what syslinux's settings say in front; empty would make an upgrade of grub fill it in
	! has_bios || options=' '
	mkdir -p "$ROOT/etc/default"
	cat > "$ROOT/etc/default/grub" << EOF
# Read by grub-mkconfig, which writes /boot/grub/grub.cfg; the timeout is in seconds.
GRUB_DISTRIBUTOR="Alpine"
GRUB_TIMEOUT=0
GRUB_TIMEOUT_STYLE=hidden
GRUB_TERMINAL=console
GRUB_DISABLE_SUBMENU=y
GRUB_DISABLE_RECOVERY=true
GRUB_DISABLE_OS_PROBER=true
export GRUB_TOP_LEVEL=/boot/vmlinuz-$KERNEL_FLAVOR
GRUB_CMDLINE_LINUX_DEFAULT="$options"
EOF
}

check_menu() {
	mkdir -p "$ROOT/boot/grub"
	[ -f "$ROOT/boot/grub/grub.cfg" ] || run in_root grub-mkconfig -o /boot/grub/grub.cfg
	entry=$(grep -m 1 '^[[:space:]]*linux[[:space:]]' "$ROOT/boot/grub/grub.cfg") || entry=
	case "$(words "$entry") " in
	*"/vmlinuz-$KERNEL_FLAVOR root=UUID=$ROOT_UUID "*" modules=$(words "$KERNEL_MODULES" | tr ' ' ,) "*) ;;
	*) fail "the first entry in /boot/grub/grub.cfg boots something else: $entry" "check the package grub-efi" ;;
	esac
}

# GRUB's core with its modules in one file, which looks for the menu on the root filesystem.
make_loader() {
	cat > "$ROOT/boot/grub/early.cfg" << EOF
search.fs_uuid $ROOT_UUID root
set prefix=(\$root)/boot/grub
EOF
	# shellcheck disable=SC2086 # a list of words
	run in_root grub-mkimage --format x86_64-efi --config /boot/grub/early.cfg --prefix /boot/grub \
		--output /boot/grub/bootx64.efi $GRUB_MODULES
	mv "$ROOT/boot/grub/bootx64.efi" "$WORK/bootx64.efi"
	rm "$ROOT/boot/grub/early.cfg"
}

fill_esp() {
	tools=$WORK/tools
	run "$APK" add --quiet --root "$tools" --initdb --keys-dir "$KEYS" --arch "$ARCH" --no-cache --no-scripts \
		--repositories-file "$WORK/repositories" mtools
	truncate -s "$(lsblk -dbnro SIZE "$ESP_DEVICE")" "$tools/esp"
	run cp "$WORK/bootx64.efi" "$tools/bootx64.efi"
	# a serial number of its own, so that a disk of another image can't be mounted in its place
	in_tools mformat -i /esp -v EFI -N "$(printf '%.8s' "$ROOT_UUID")" ::
	in_tools mmd -i /esp ::/EFI ::/EFI/BOOT
	in_tools mcopy -i /esp /bootx64.efi ::/EFI/BOOT/BOOTX64.EFI
	run dd if="$tools/esp" of="$ESP_DEVICE" bs=1M conv=fsync status=none
}

in_tools() {
	run env "SOURCE_DATE_EPOCH=$SOURCE_DATE_EPOCH" chroot "$tools" "$@"
}
