# shellcheck shell=sh
# Fetches a static apk from the mirror and runs nothing that a trusted key has not signed.
# Needs: MIRROR, BRANCH, ARCH, KEYS, WORK. Leaves: APK, the verified program.
#
# An index or package is a series of gzip members. The first holds a signature over the second: of an index all that
# counts, of a package its control data, which names the SHA-256 of the third, the files. The signed index names the
# SHA-1 of the control data, so an old package that was once signed is refused too.

get_apk() {
	say_step "fetching and checking apk"
	mkdir "$WORK/apk"
	base=$MIRROR/$BRANCH/main/$ARCH
	fetch "$base/APKINDEX.tar.gz" "$WORK/apk/index"
	split_signed "$WORK/apk/index" "$base/APKINDEX.tar.gz"
	check_signature "$WORK/apk/index" "$base/APKINDEX.tar.gz"
	record=$(gzip -dc "$WORK/apk/index.signed" | tar -xO APKINDEX | index_record apk-tools-static)
	[ -n "$record" ] || fail "the index at $base has no apk-tools-static" "use a complete mirror"
	version=${record%% *}
	identity=${record#* }

	package=$WORK/apk/package
	fetch "$base/apk-tools-static-$version.apk" "$package"
	split_signed "$package" "$base/apk-tools-static-$version.apk"
	check_signature "$package" "$base/apk-tools-static-$version.apk"
	check_identity "$package" "$identity"
	run tar --warning=no-unknown-keyword -xzf "$package.data" -C "$WORK/apk" sbin/apk.static
	APK=$WORK/apk/sbin/apk.static
	chmod 755 "$APK"
	run "$APK" --version
}

# fetch URL FILE
fetch() {
	if command -v curl > /dev/null; then
		curl --fail --silent --show-error --location --retry 3 --connect-timeout 20 --max-time 300 \
			--output "$2" "$1" 2> "$WORK/fetch.log" || unfetched "$1"
	else
		wget --no-verbose --tries=3 --timeout=60 -O "$2" "$1" 2> "$WORK/fetch.log" || unfetched "$1"
	fi
}

unfetched() {
	fail "$1 can't be fetched: $(tail -n 1 "$WORK/fetch.log")" "check the stack's mirror and the build VM's way to it"
}

# split_signed FILE NAME: FILE.signature, FILE.signed (the member it covers), FILE.data (what follows).
split_signed() {
	{ cut_member "$1" "$1.signature" "$1.rest" && cut_member "$1.rest" "$1.signed" "$1.data"; } \
		|| fail "$2 is not a signed index or package of apk's v2 format" "check that Alpine, or whoever made it, signs it"
}

# cut_member FILE FIRST REST: FIRST becomes the first gzip member of FILE, REST all others; 1 where it is none.
cut_member() {
	total=$(wc -c < "$1")
	magic=$(printf '\037\213\010')
	for offset in $(LC_ALL=C grep -aobF "$magic" "$1" | cut -d: -f1) "$total"; do
		[ "$offset" -gt 0 ] || continue
		head -c "$offset" "$1" > "$2"
		if gzip -tq "$2" 2> /dev/null; then
			tail -c "+$((offset + 1))" "$1" > "$3"
			return 0
		fi
	done
	return 1
}

# check_signature FILE NAME: FILE.signature, or one of several in it, is by a trusted key and covers FILE.signed.
check_signature() {
	gzip -dc "$1.signature" | tar -t > "$1.members"
	signer=
	while IFS= read -r member; do
		case "$member" in
		.SIGN.RSA256.*) digest=sha256 key=${member#.SIGN.RSA256.} ;;
		.SIGN.RSA.*) digest=sha1 key=${member#.SIGN.RSA.} ;;
		*) continue ;;
		esac
		case "$key" in
		*[!A-Za-z0-9@._+-]*) continue ;;
		esac
		signer=$key
		[ ! -f "$KEYS/$key" ] || break
	done < "$1.members"
	[ -n "$signer" ] || fail "$2 carries no signature that is known here" "check that the mirror serves Alpine"
	[ -f "$KEYS/$signer" ] || fail "$2 is signed by $signer, which is not trusted" "name the key in the profile, or change the mirror"
	openssl rsa -pubin -in "$KEYS/$key" -noout 2> /dev/null || fail "$key is not an RSA key" "put another into the profile's keys"
	gzip -dc "$1.signature" | tar -xO "$member" > "$1.bytes"
	openssl dgst "-$digest" -verify "$KEYS/$key" -signature "$1.bytes" "$1.signed" > "$1.verdict" 2>&1 \
		|| fail "the signature of $2 is wrong" "the file is damaged or forged: change the mirror"
}

# index_record NAME: version and identity of the package, from an index's text on standard input.
index_record() {
	awk -v name="$1" -F: '
		$1 == "C" { identity = substr($0, 3) }
		$1 == "P" { package = $2 }
		$1 == "V" && package == name { print $2 " " identity; exit }
	'
}

# check_identity FILE IDENTITY: the control data is what the index says, the files what the control data says.
check_identity() {
	sum=$(openssl dgst -sha1 -binary "$1.signed" | base64)
	[ "Q1$sum" = "$2" ] || fail "apk-tools-static is not the one that the index names" "the mirror is inconsistent: try again later"
	wanted=$(gzip -dc "$1.signed" | tar -xO .PKGINFO | awk '$1 == "datahash" { print $3 }')
	got=$(sha256sum < "$1.data" | cut -d' ' -f1)
	[ "$wanted" = "$got" ] || fail "the files of apk-tools-static are not those that were signed" "the file is damaged or forged: change the mirror"
}
