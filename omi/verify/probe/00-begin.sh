# shellcheck shell=sh
# The probes of an image, joined in the order of their numbers. They change nothing and print facts, one `key=value` a
# line, for omi.verify.checks. Each stands alone but for what is set here. In a freshly booted image its user runs all
# of them; the root of a finished image that is not booted yet gets those that need no running system: TOP is where it
# lies, APK the command that is its apk. SETTLE is the seconds that the rest of the boot may take after SSH opened.
# Leaves: TOP, APK, SETTLE, as_root.
set -u
export PATH=/usr/sbin:/usr/bin:/sbin:/bin LC_ALL=C
: "${TOP:=}" "${APK:=apk}" "${SETTLE:=90}"

BECOME=nobody
for program in doas sudo; do
	if [ "$(id -u)" -eq 0 ]; then
		BECOME=
	elif "$program" -n true < /dev/null > /dev/null 2>&1; then
		BECOME="$program -n"
		break
	fi
done
echo "become=$BECOME"
[ -z "$TOP" ] || echo "at_rest=yes"

# as_root COMMAND...: by root, where doas or sudo lets the user, else by the user, who sees less.
as_root() {
	if [ "$BECOME" = nobody ]; then
		"$@"
	else
		$BECOME "$@"
	fi
}
