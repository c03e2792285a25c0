#!/bin/sh
# Stand-in for tiny-cloud: tiny-cloud {boot|early|main|final|--enable|--disable|--bootstrap {complete|incomplete|status}}
set -e

: "${LIBDIR:=/lib}"
# shellcheck source=common.sh
. "$LIBDIR/tiny-cloud/common"
flag=$TINY_CLOUD_VAR/.bootstrap-complete

usage() {
	echo "Usage: tiny-cloud { boot | early | main | final | --bootstrap {complete|incomplete|status} | --enable | --disable }"
}

bootstrap() {
	case "$1" in
	complete) mkdir -p "$TINY_CLOUD_VAR" && touch "$flag" ;;
	incomplete) rm -f "$flag" ;;
	status) if [ -f "$flag" ]; then echo complete; else echo incomplete; fi ;;
	*) usage >&2 && exit 1 ;;
	esac
}

set_services() {
	rm -f "$ROOT"/etc/runlevels/*/tiny-cloud*
	[ "$1" = yes ] || return 0
	ln -s /etc/init.d/tiny-cloud-boot "$ROOT/etc/runlevels/boot"
	for service in early main final; do
		ln -s "/etc/init.d/tiny-cloud-$service" "$ROOT/etc/runlevels/default"
	done
}

case "$1" in
-h | --help) usage && exit 0 ;;
-b | --bootstrap) bootstrap "$2" && exit 0 ;;
-E | --enable) set_services yes && exit 0 ;;
-D | --disable) set_services no && exit 0 ;;
boot | early | main | final) phase=$1 ;;
*) usage >&2 && exit 1 ;;
esac

if [ -e "$ROOT/etc/tiny-cloud.disabled" ] || [ -f "$flag" ]; then
	log -i -t "$phase" info "nothing to do"
	exit 0
fi

# shellcheck source=init.sh
. "$LIBDIR/tiny-cloud/init"

init__bootstrap_complete() {
	bootstrap complete
}
INIT_ACTIONS_FINAL="$INIT_ACTIONS_FINAL bootstrap_complete"

case "$phase" in
boot) actions=$INIT_ACTIONS_BOOT ;;
early) actions=$INIT_ACTIONS_EARLY ;;
main) actions=$INIT_ACTIONS_MAIN ;;
final) actions=$INIT_ACTIONS_FINAL ;;
esac

for ACTION in $actions; do
	case " $(echo "$SKIP_INIT_ACTIONS" | tr -s '\n\t' '  ') " in
	*" $ACTION "*)
		log -i -t "$phase" notice "$ACTION: skipped"
		continue
		;;
	esac
	# a name without a function is passed over, as the real one does
	if ! command -v "init__$ACTION" > /dev/null; then
		log -i -t "$phase" err "$ACTION: unknown"
	elif "init__$ACTION"; then
		log -i -t "$phase" info "$ACTION: done"
	else
		log -i -t "$phase" err "$ACTION: failed"
		exit 1
	fi
done
