# shellcheck shell=sh
# What OpenRC says of every service of every runlevel. Comes after 45-bootstrap, which waits until all have started:
# some of them start after SSH is open.
for link in /etc/runlevels/*/*; do
	name=${link##*/} level=${link%/*}
	[ "$name" != '*' ] || continue
	state=stopped
	for kind in started starting inactive failed; do
		[ -e "/run/openrc/$kind/$name" ] && state=$kind
	done
	echo "service=${level##*/} $name $state"
done
# only root can tell whether a daemon still runs: to others every one of them seems dead
if [ "$BECOME" != nobody ]; then
	for name in $(as_root rc-status --crashed < /dev/null 2> /dev/null); do echo "crashed=$name"; done
fi
