# shellcheck shell=sh
# Writes into the image what it is and where it comes from, and reports to the program what went in.
# Needs: ROOT, APK, WORK, DATA, the settings. Leaves: /etc/alpine-omi-release; in $DATA/out, which the program fetches,
# the same file and `packages`, apk's records of what is installed without their lists of files.

write_release() {
	say_step "writing down what is in the image"
	print_release > "$ROOT/etc/alpine-omi-release"
	chmod 644 "$ROOT/etc/alpine-omi-release"
	mkdir -p "$DATA/out"
	run cp "$ROOT/etc/alpine-omi-release" "$DATA/out/"
	awk '/^[CPVASILUTotcDp]:/ || /^$/' "$ROOT/lib/apk/db/installed" > "$DATA/out/packages"
}

# Lines NAME="value", as in os-release; no value holds a quote.
print_release() {
	apk=$("$APK" --version | awk '{ sub(/,$/, "", $2); print $2; exit }')
	cat << EOF
NAME="$IMAGE_NAME"
PROFILE="$PROFILE"
BUILD="$BUILD"
RELEASE="$RELEASE"
REVISION="$REVISION"
DIGEST="$DIGEST"
COMMIT="$COMMIT"
MIRROR="$(without_login "$MIRROR")"
EOF
	number=0
	while read -r sum url; do
		number=$((number + 1))
		echo "INDEX_$number=\"sha256:$sum $url\""
	done < "$WORK/indexes"
	echo "TOOLS=\"$TOOLS, apk-tools $apk\""
}
