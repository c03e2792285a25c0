#!/bin/sh
# Checks published files before anything in them is used. Needs ssh-keygen (OpenSSH 9) and sha256sum.
#
#   verify.sh SIGNERS FOLDER [FILE...]
#   verify.sh trusted/allowed_signers releases               every file, and that there is no other one
#   verify.sh trusted/allowed_signers downloaded alpine.json  these files alone
#
# SIGNERS is the allowed_signers file that you got from the publisher by another way than FOLDER. Beside it, in
# SIGNERS.seen, the script keeps when each stack's newest files were signed, and refuses older ones from then on.
# If SIGNERS has lines for several stacks, STACK in the environment names the one whose files these must be.
# With MAX_DAYS=14 in the environment it also refuses files that were signed longer ago.
#
# Exit code 0 if all is as it was signed, 1 if not, 2 if it can't be checked.
set -eu
export LC_ALL=C

bad() {
	echo "verify: $*; don't use it" >&2
	exit 1
}

cannot() {
	echo "verify: $*" >&2
	exit 2
}

wrong() {
	echo "verify: $*" >&2
	code=1
}

check() { # PATH SHA256
	if [ ! -f "$folder/$1" ]; then
		wrong "$folder/$1: is missing"
	elif [ "$(sha256sum <"$folder/$1")" != "$2  -" ]; then
		wrong "$folder/$1: is not what was signed"
	fi
}

sum_of() { # PATH: prints the SHA-256 that the manifest has of it
	file=$1 awk 'substr($0, 67) == ENVIRON["file"] { print substr($0, 1, 64) }' "$work/lines"
}

[ $# -ge 2 ] || cannot "usage: $0 SIGNERS FOLDER [FILE...]"
for tool in ssh-keygen sha256sum; do
	command -v "$tool" >/dev/null || cannot "$tool is not on PATH: install OpenSSH's client and coreutils"
done
signers=$1 folder=$2
shift 2
case $signers in /*) ;; *) signers=./$signers ;; esac
case $folder in /*) ;; *) folder=./$folder ;; esac
if [ ! -f "$signers" ] || [ ! -r "$signers" ]; then
	cannot "$signers: can't be read; give the allowed_signers that you trust"
fi
[ -d "$folder" ] || cannot "$folder: is not a folder"
[ "$(cd "${signers%/*}/" && pwd -P)" != "$(cd "$folder" && pwd -P)" ] ||
	cannot "$signers: comes with the files, so it proves nothing; keep the one that you trust elsewhere"
case ${MAX_DAYS:-0} in *[!0-9]*) cannot "MAX_DAYS: $MAX_DAYS is not a number of days" ;; esac

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
trap 'exit 130' HUP INT TERM
# Copies, so that the text that is checked is the one that is used.
for part in manifest.txt manifest.txt.sig; do
	cat "$folder/$part" >"$work/$part" 2>/dev/null || bad "$folder: is not signed: $part is missing"
done

stack=$(sed -n '2s/^# stack: \([A-Za-z0-9_][A-Za-z0-9._-]*\)$/\1/p' "$work/manifest.txt")
signed=$(sed -n '3s/^# signed: \([0-9]\{1,11\}\) [^ ]*$/\1/p' "$work/manifest.txt")
if [ "$(head -n 1 "$work/manifest.txt")" != '# alpine-omi manifest 1' ] || [ -z "$stack" ] || [ -z "$signed" ]; then
	bad "$folder/manifest.txt: is not a manifest"
fi
if [ -n "${STACK:-}" ]; then
	[ "$STACK" = "$stack" ] || bad "$folder: is $stack's, but STACK is $STACK"
else
	case $(awk '!/^[ \t]*(#|$)/ && !named[$1]++ { print $1 }' "$signers") in
	*[!A-Za-z0-9._-]*) cannot "$signers: is for several stacks: set STACK to the one whose files these are" ;;
	esac
fi
if ! ssh-keygen -Y verify -f "$signers" -I "$stack" -n alpine-omi -s "$work/manifest.txt.sig" \
	<"$work/manifest.txt" >/dev/null 2>"$work/errors"; then
	why=$(tr -cd '\040-\176\n' <"$work/errors" | tail -n 1)
	bad "$folder: $signers allows no such signature of $stack (${why:-no line is for its key})"
fi

seen=$signers.seen
last=
if [ -e "$seen" ]; then
	last=$(stack=$stack awk '$1 == ENVIRON["stack"] { print $2 }' "$seen" 2>/dev/null) || cannot "$seen: can't be read"
fi
[ "$signed" -ge "${last:-0}" ] || bad "$folder: is older than what $stack had signed before"
now=$(date +%s)
days=$(((now - signed) / 86400))
[ -z "${MAX_DAYS:-}" ] || [ "$days" -le "$MAX_DAYS" ] || bad "$folder: was signed $days days ago, MAX_DAYS is $MAX_DAYS"

code=0
sed 1,3d "$work/manifest.txt" >"$work/lines"
if [ $# -gt 0 ]; then
	for name; do
		sum=$(sum_of "$name")
		if [ -n "$sum" ]; then check "$name" "$sum"; else wrong "$folder/$name: is not in the manifest"; fi
	done
else
	while IFS= read -r line; do
		check "${line#*  }" "${line%%  *}"
	done <"$work/lines"
	# What a publisher's program keeps there beside the files.
	printf './%s\n' manifest.txt manifest.txt.sig .lock >"$work/known"
	awk '{ print "./" substr($0, 67) }' "$work/lines" >>"$work/known"
	(cd "$folder" && find . ! -type d) >"$work/there" || cannot "$folder: can't be read as a whole"
	awk 'NR == FNR { known[$0]; next } !($0 in known)' "$work/known" "$work/there" >"$work/added"
	tr -cd '\040-\176\n' <"$work/added" >"$work/shown"
	while IFS= read -r name; do
		wrong "$folder/${name#./}: is not in the manifest"
	done <"$work/shown"
fi
[ "$code" -eq 0 ] || bad "$folder: is not what $stack signed"

if ! {
	[ ! -e "$seen" ] || stack=$stack awk '$1 != ENVIRON["stack"]' "$seen"
	echo "$stack $signed"
} 2>/dev/null >"$work/seen" || ! cp "$work/seen" "$seen.$$" || ! mv "$seen.$$" "$seen"; then
	cannot "$seen: can't be written, and without it older files would pass"
fi
echo "verify: $folder is what $stack signed $days days ago"
