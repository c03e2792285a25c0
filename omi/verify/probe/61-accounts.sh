# shellcheck shell=sh
# What kind of password each account has, never the password: none, empty, or set (also when it is locked for now).
# authorized_key=FILE:TYPE KEY...: who may log in, of how many homes.
password_kinds() {
	awk -F: '$2 != "x" { print "password=" $1, $2 == "" ? "empty" : $2 ~ /^[!*]+$/ ? "none" : "set" }'
}
as_root cat "$TOP/etc/shadow" < /dev/null | password_kinds
password_kinds < "$TOP/etc/passwd"
awk -F: -v top="$TOP" '{ print top $6 "/.ssh/authorized_keys\n" top $6 "/.ssh/authorized_keys2" }' "$TOP/etc/passwd" \
	| sort -u | as_root xargs grep -sH '^[^#]' | sed "s|^$TOP|authorized_key=|"
echo "homes=$(cut -d: -f6 "$TOP/etc/passwd" | sort -u | grep -c .)"
