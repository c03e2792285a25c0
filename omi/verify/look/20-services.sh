# shellcheck shell=sh
# What OpenRC says of every service of every runlevel that is up by now.
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
for name in $(as_root rc-status --crashed 2> /dev/null); do echo "crashed=$name"; done
