#!/bin/sh
# customize.sh ROOT RECIPE: turns the Debian root in ROOT into the one of the source OMI. Runs as root or as a mapped root;
# needs no mounts. RECIPE is the folder of this script.
set -eu
root=$1
recipe=$2
units=$root/etc/systemd/system
umask 022

# Nothing of the host's package configuration (it may name a private mirror or a proxy) stays behind.
rm -rf "$root/etc/apt/sources.list" "$root/etc/apt/sources.list.d" "$root/etc/apt/apt.conf.d/99mmdebstrap"
mkdir "$root/etc/apt/sources.list.d"
: >"$root/etc/fstab"
rm -rf "$root/etc/resolv.conf" "$root/etc/hostname" "$root"/etc/ssh/ssh_host_* "$root"/boot/initrd*

(cd "$recipe/root" && find . -type d) | while read -r folder; do
	mkdir -p "$root/$folder"
done
(cd "$recipe/root" && find . -type f) | while read -r file; do
	mode=644
	[ ! -x "$recipe/root/$file" ] || mode=755
	install -m "$mode" "$recipe/root/$file" "$root/$file"
done
chmod 440 "$root/etc/sudoers.d/90-outscale"

echo 'outscale:x:1000:1000::/home/outscale:/bin/bash' >>"$root/etc/passwd"
echo 'outscale:*:19000:0:99999:7:::' >>"$root/etc/shadow"
echo 'outscale:x:1000:' >>"$root/etc/group"
echo 'outscale:!::' >>"$root/etc/gshadow"
cp -R "$root/etc/skel" "$root/home/outscale"
chown -R 1000:1000 "$root/home/outscale"
chmod 700 "$root/home/outscale"

while read -r unit; do
	ln -sf /dev/null "$units/$unit"
done <"$recipe/masked-units.txt"
mkdir -p "$root/etc/systemd/system-generators"
while read -r generator; do
	ln -sf /dev/null "$root/etc/systemd/system-generators/$generator"
done <"$recipe/masked-generators.txt"
mkdir -p "$units/sysinit.target.wants" "$units/multi-user.target.wants"
for unit in static-network.service metadata-agent.service; do
	ln -sf "/etc/systemd/system/$unit" "$units/sysinit.target.wants/$unit"
done
ln -sf /lib/systemd/system/acpid.service "$units/multi-user.target.wants/acpid.service"
# The agent starts sshd, when the host key and the authorized key are there.
rm -f "$units/multi-user.target.wants/ssh.service" "$units/sshd.service"

rm -f "$root"/etc/update-motd.d/*
rm -f "$root/etc/machine-id" "$root/var/lib/dbus/machine-id"
: >"$root/etc/machine-id"
rm -rf "$root"/var/cache/apt/* "$root"/var/lib/apt/lists/* "$root"/var/log/* "$root"/tmp/* "$root"/run/*
