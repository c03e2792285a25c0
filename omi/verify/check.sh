#!/bin/sh
# Facts about a freshly booted image, one `key=value` a line, for omi.verify.facts. Changes nothing; becomes root for one question.
set -u
export PATH=/usr/sbin:/usr/bin:/sbin:/bin LC_ALL=C

echo "release=$(cat /etc/alpine-release)"
echo "kernel=$(uname -r)"
[ -d "/lib/modules/$(uname -r)" ] && echo "kernel_modules=yes" || echo "kernel_modules=no"
echo "user=$(id -un)"

# what OpenRC says of every service of every runlevel that is up by now
for level in sysinit boot default; do
	for link in /etc/runlevels/"$level"/*; do
		name=${link##*/}
		[ "$name" != '*' ] || continue
		state=stopped
		for kind in started starting inactive failed; do
			[ -e "/run/openrc/$kind/$name" ] && state=$kind
		done
		echo "service=$level $name $state"
	done
done
# only root can tell whether a daemon still runs: to others every one of them seems dead
for become in doas sudo; do
	"$become" -n true 2>/dev/null || continue
	for name in $("$become" -n rc-status --crashed 2>/dev/null); do echo "crashed=$name"; done
	break
done

# kilobytes of the root filesystem and of the disk under it
root=$(awk '$2 == "/" && $1 ~ /^\/dev\// { print $1 }' /proc/mounts | tail -n 1)
echo "root_device=$root"
echo "root_kib=$(df -Pk / | awk 'NR == 2 { print $2 }')"
disk=$(readlink -f "$root")
echo "disk_kib=$(awk -v name="${disk##*/}" '$4 == name { print $3 }' /proc/partitions)"

echo "booted=$(awk '$1 == "btime" { print $2 }' /proc/stat)"
for key in /etc/ssh/ssh_host_*_key.pub; do
	[ -e "$key" ] && echo "host_key=${key##*/} $(stat -c %Y "$key")"
done

# sockets as the kernel lists them: local address, remote address, state, in its own hexadecimal notation
for kind in tcp tcp6 udp udp6; do
	[ -r "/proc/net/$kind" ] || continue
	awk -v kind="$kind" 'NR > 1 { print "socket=" kind, $2, $3, $4 }' "/proc/net/$kind"
done
echo "end=yes"
