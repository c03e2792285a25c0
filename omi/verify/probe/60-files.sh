# shellcheck shell=sh
# The root's files that are in no package, and those with modes that give rights away; one pass over all of it.
# file=KIND MODE PACKAGED SIZE CHANGED PATH: kind f, d or o; octal modes, the second as apk knows it, `-` where the file
# is in no package; bytes; the time of the inode's last change, which nobody can set back, in seconds of the epoch.
database=$TOP/lib/apk/db/installed
[ -e "$database" ] || database=$TOP/usr/lib/apk/db/installed
echo "database=$(stat -c %Z "$database")"
as_root find "$TOP/" -xdev -exec stat -c '%f %a %s %Z %n' {} + 2> /dev/null < /dev/null \
	| awk -v top="$TOP" '
	FILENAME != "-" {
		sign = substr($0, 1, 2)
		rest = substr($0, 3)
		if (sign == "F:") { folder = rest; name = "/" rest; modes[name] = 755 }
		if (sign == "R:") { name = (folder == "" ? "" : "/" folder) "/" rest; modes[name] = 644 }
		if (sign == "a:" || sign == "M:") { split(rest, parts, ":"); modes[name] = parts[3] }
		next
	}
	{
		type = substr($1, 1, 1)
		path = substr($0, length($1 $2 $3 $4) + 5 + length(top))
		kind = type == "8" ? "f" : type == "4" ? "d" : "o"
		packaged = path in modes ? modes[path] : "-"
		special = length($2) > 3 ? substr($2, 1, 1) : 0
		open = $2 ~ /[2367]$/
		if (type == "a") next
		if (kind == "d" ? open && special % 2 == 0 : packaged == "-" || open || special > 1)
			print "file=" kind, $2, packaged, $3, $4, path
	}
' "$database" -
