# shellcheck shell=sh
# Bytes that the root filesystem uses, and that the installed packages say they take (I: in apk's database).
echo "used_bytes=$(df -Pk / | awk 'NR == 2 { printf "%.0f", $3 * 1024 }')"
for database in /lib/apk/db/installed /usr/lib/apk/db/installed; do
	[ -r "$database" ] || continue
	echo "installed_bytes=$(awk -F: '$1 == "I" { sum += $2 } END { printf "%.0f", sum }' "$database")"
	break
done
