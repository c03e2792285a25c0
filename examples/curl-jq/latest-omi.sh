#!/bin/sh
# Prints the id of the latest image in a Region, of a version where one is given. Needs curl and jq.
#
#   latest-omi.sh FEED REGION [VERSION [ARCH]]
#   latest-omi.sh https://example.com/releases/alpine.json eu-west-2 3.23
set -eu

if [ $# -lt 2 ] || [ $# -gt 4 ]; then
	echo "usage: $0 FEED REGION [VERSION [ARCH]]" >&2
	exit 2
fi
feed=$(curl --fail --silent --show-error --location "$1")
printf '%s\n' "$feed" | jq --raw-output --arg region "$2" --arg version "${3:-}" --arg arch "${4:-x86_64}" '
	(if $version == "" then .latest.arch[$arch] else .latest.version[$version][$arch] end)[$region].id
	// error("no image of \($version) \($arch) in \($region)")'
