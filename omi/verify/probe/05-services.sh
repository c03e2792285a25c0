# shellcheck shell=sh
# What OpenRC says of every service of every runlevel, once it has started the last one: SSH opens before some of them,
# and the bootstrap's last phase is one. All other probes come after it, so they see a system that has settled.
# OpenRC keeps a folder while it starts a runlevel; services that it starts by events (mdev) count as starting, too.
RC=${RC:-/run/openrc}
is_settled() {
	[ -d "$RC" ] || return 0
	[ "$(cat "$RC/softlevel" 2> /dev/null)" = default ] && [ ! -e "$RC/rc.starting" ] \
		&& [ -z "$(ls "$RC/starting" 2> /dev/null)" ]
}
seconds=0
until is_settled || [ "$seconds" -ge "$SETTLE" ]; do
	sleep 1
	seconds=$((seconds + 1))
done
is_settled && echo "settled=yes" || echo "settled=no $seconds"
for link in /etc/runlevels/*/*; do
	name=${link##*/} level=${link%/*}
	[ "$name" != '*' ] || continue
	state=stopped
	for kind in started starting scheduled inactive failed; do
		[ -e "$RC/$kind/$name" ] && state=$kind
	done
	echo "service=${level##*/} $name $state"
done
# only root can tell whether a daemon still runs: to others every one of them seems dead
if [ "$BECOME" != nobody ]; then
	# it ends with 1 where none has
	crashed=$(as_root sh -c 'rc-status --crashed; [ $? -le 1 ] && echo " seen"' < /dev/null 2> /dev/null)
	for name in $crashed; do
		[ "$name" = seen ] && echo "crashes_seen=yes" || echo "crashed=$name"
	done
fi
