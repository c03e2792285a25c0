#!/bin/sh
# Stand-in for Alpine's statically linked apk: the root's own apk with its loader and libraries behind this text.
folder=$(mktemp -d "${TMPDIR:-/tmp}/apk.XXXXXX") || exit 1
trap 'rm -rf "$folder"' EXIT
trap 'exit 130' INT TERM
sed '1,/^#ARCHIVE$/d' "$0" | tar -xzf - -C "$folder" || exit 1
"$folder/loader" --library-path "$folder" "$folder/apk" "$@"
exit $?
#ARCHIVE
