#!/bin/sh
# Prints the id of the latest image in a Region, of a version where one is given, if the feed is signed by SIGNERS
# (../verify/verify.sh). Needs curl, jq and ssh-keygen.
#
#   latest-omi.sh SIGNERS FEED REGION [VERSION [ARCH]]
#   latest-omi.sh allowed_signers https://example.com/releases/alpine.json eu-west-2 3.23
set -eu

if [ $# -lt 3 ] || [ $# -gt 5 ]; then
	echo "usage: $0 SIGNERS FEED REGION [VERSION [ARCH]]" >&2
	exit 2
fi
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
for file in "${2##*/}" manifest.txt manifest.txt.sig; do
	curl --fail --silent --show-error --location --output "$folder/$file" "${2%/*}/$file"
done
"$(dirname "$0")/../verify/verify.sh" "$1" "$folder" "${2##*/}" >&2
jq --raw-output --arg region "$3" --arg version "${4:-}" --arg arch "${5:-x86_64}" '
	(if $version == "" then .latest.arch[$arch] else .latest.version[$version][$arch] end)[$region].id
	// error("no image of \($version) \($arch) in \($region)")' "$folder/${2##*/}"
