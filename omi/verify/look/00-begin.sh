# shellcheck shell=sh
# The looks at a freshly booted image, joined in the order of their numbers and run as its user. They change nothing and
# print facts, one `key=value` a line, for omi.verify.checks. Each stands alone but for what is set here.
# Leaves: as_root.
set -u
export PATH=/usr/sbin:/usr/bin:/sbin:/bin LC_ALL=C

# as_root COMMAND...: by whichever of doas and sudo the image has; 1 where neither lets the user.
as_root() {
	for become in doas sudo; do
		if "$become" -n true 2> /dev/null; then
			"$become" -n "$@"
			return
		fi
	done
	return 1
}
