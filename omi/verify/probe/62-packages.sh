# shellcheck shell=sh disable=SC2086 # APK is a command with its words
# What was asked of apk, what it has installed that nobody asked for or needs, and what is not as its packages brought
# it: change=SIGN PATH, with A for added, U for changed and so on (apk-audit(8)); a new folder (d) counts by the files in
# it, and busybox's applets, which it links itself, not at all. Outside of /etc only in a root at rest.
sed 's/^/world=/' "$TOP/etc/apk/world"
# apk looks at no world with a tag before it has read an index of that tag: here one with nothing in it
set --
tags=$(sed -n 's/^@\([^ ]*\) .*/\1/p' "$TOP/etc/apk/repositories" 2> /dev/null)
empty=
if [ -n "$tags" ]; then
	empty=$(mktemp -d "$TOP/tmp/probe.XXXXXX")
	mkdir "$empty/x86_64"
	(cd "$empty/x86_64" && : > APKINDEX && tar -czf APKINDEX.tar.gz APKINDEX)
	set -- --allow-untrusted
	for tag in $tags; do set -- "$@" -X "@$tag ${empty#"$TOP"}"; done
fi
if solved=$(as_root $APK add --simulate --no-network --repositories-file /dev/null "$@" < /dev/null 2>&1); then
	echo "solved=yes"
	printf '%s\n' "$solved" | sed -n 's/^([ 0-9]*\/[0-9]*) Purging \(.*\) (.*/unneeded=\1/p'
else
	printf '%s\n' "$solved" | sed 's/^/solved=/'
fi
[ -z "$empty" ] || rm -rf "$empty"
# audited=KIND: that apk came to its end
audit() {
	as_root $APK audit --recursive "--$1" < /dev/null && echo "d audited=$1"
}
audit backup | sed -n -e 's/^d \(audited=\)/\1/p' -e 's/^[^d] /change=&/p'
# reading every file takes seconds on a slow machine, and the first boot does not write where packages have theirs
if [ -n "$TOP" ]; then
	applets=$(mktemp)
	as_root find "$TOP" -xdev -lname '*/busybox' | cut -c "$((${#TOP} + 2))-" > "$applets"
	audit full | sed -n -e '/^. \(dev\|proc\|sys\)\//d' -e 's/^d \(audited=\)/\1/p' -e 's/^[^d] /change=&/p' \
		| awk 'FILENAME != "-" { applet[$0]; next } !(substr($0, 10) in applet)' "$applets" -
	rm "$applets"
fi
