# shellcheck shell=sh
# Reads the package indexes of the installation, so that it is known which they were.
# Needs: INSTALL_REPOSITORIES, ARCH, KEYS, WORK. Leaves: $WORK/indexes, a line `SHA-256 URL` for each, in apk's order;
# SOURCE_DATE_EPOCH, the day of the newest package in them: the time of all that the build itself makes.
#
# apk fetches its indexes itself. That they are the same after the installation as before shows that it read these.

read_indexes() {
	say_step "checking the package indexes"
	SOURCE_DATE_EPOCH=0
	list_indexes "$WORK/indexes"
}

# Run after the installation.
check_indexes() {
	list_indexes "$WORK/indexes.after"
	cmp -s "$WORK/indexes" "$WORK/indexes.after" \
		|| fail "the mirror's package indexes changed while packages were installed" "run it again"
}

# list_indexes FILE
list_indexes() {
	: > "$1"
	for repository in $(printf '%s\n' "$INSTALL_REPOSITORIES" | grep -v '^#' | awk '{ print $NF }'); do
		url=${repository%/}/$ARCH/APKINDEX.tar.gz
		fetch "$url" "$WORK/index"
		split_signed "$WORK/index" "$url"
		check_signature "$WORK/index" "$url"
		echo "$(sha256sum < "$WORK/index" | cut -d' ' -f1) $(without_login "$url")" >> "$1"
		made=$(gzip -dc "$WORK/index.signed" | tar -xO APKINDEX | newest_package)
		[ "$made" -le "$SOURCE_DATE_EPOCH" ] || SOURCE_DATE_EPOCH=$made
	done
}

# newest_package: when it was built, in seconds of the epoch, from an index's text on standard input.
newest_package() {
	awk -F: '$1 == "t" && $2 + 0 > newest { newest = $2 + 0 } END { printf "%d\n", newest }'
}

# without_login URL: what a URL says of user and password is nobody's business.
without_login() {
	printf '%s\n' "$1" | sed 's|://[^/@]*@|://|'
}
