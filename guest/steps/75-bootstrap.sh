# shellcheck shell=sh
# What sets up a new instance from the metadata service: tiny-cloud or cloud-init.
# Needs: ROOT, BOOTSTRAP, USER_NAME, METADATA_URL, runlevels. Leaves: an image whose first boot takes the user's key,
# the host name and user data, and grows the root filesystem.

set_up_bootstrap() {
	say_step "setting up $BOOTSTRAP"
	case "$BOOTSTRAP" in
	tiny-cloud) set_up_tiny_cloud ;;
	cloud-init) set_up_cloud_init ;;
	*) fail "BOOTSTRAP is $BOOTSTRAP" "it is tiny-cloud or cloud-init; see guest/README.md" ;;
	esac
}

# tiny-cloud has no provider for OUTSCALE: ours goes beside those that it has.
set_up_tiny_cloud() {
	for library in /lib/tiny-cloud /usr/lib/tiny-cloud ''; do
		[ ! -f "$ROOT$library/init" ] || break
	done
	[ -n "$library" ] || fail "neither /lib/tiny-cloud nor /usr/lib/tiny-cloud has tiny-cloud's init" \
		"check the package tiny-cloud and its layout"
	put_file tiny-cloud/outscale/imds.sh 644 "$library/cloud/outscale/imds"
	put_file tiny-cloud/outscale/init.sh 644 "$library/cloud/outscale/init"
	put_file tiny-cloud/outscale/autodetect 755 "$library/cloud/outscale/autodetect"
	cat > "$ROOT/etc/tiny-cloud.conf" << EOF
# Read by tiny-cloud. The profile says which services run, so tiny-cloud doesn't enable sshd; the interfaces are written.
CLOUD=outscale
CLOUD_USER=$USER_NAME
OUTSCALE_METADATA=$METADATA_URL
SKIP_INIT_ACTIONS="enable_sshd set_default_interfaces"
EOF
	put_file tiny-cloud/outscale/service.sh 755 /etc/init.d/outscale-instance
	run in_root tiny-cloud --enable
	run in_root rc-update -q add outscale-instance default
	run in_root tiny-cloud --bootstrap incomplete
}

# cloud-init knows OUTSCALE as a kind of EC2.
set_up_cloud_init() {
	has_program cloud-init || fail "cloud-init is not installed" "check the package cloud-init"
	mkdir -p "$ROOT/etc/cloud/cloud.cfg.d"
	sed -e "s|@USER@|$USER_NAME|" -e "s|@METADATA@|${METADATA_URL%/latest}|" "$GUEST/files/cloud-init/outscale.cfg" \
		> "$ROOT/etc/cloud/cloud.cfg.d/90_outscale.cfg"
	chmod 644 "$ROOT/etc/cloud/cloud.cfg.d/90_outscale.cfg"
	run in_root setup-cloud-init
	# its OpenRC services don't say that sshd waits for the key that they make
	sed -i '/^rc_after=/d' "$ROOT/etc/conf.d/sshd"
	echo 'rc_after="cloud-init"' >> "$ROOT/etc/conf.d/sshd"
}
