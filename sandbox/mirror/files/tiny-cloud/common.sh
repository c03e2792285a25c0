# shellcheck shell=sh disable=SC2034 # whoever reads this file uses them
# Stand-in for tiny-cloud's lib/tiny-cloud/common: settings with their defaults, and functions that providers may use.

# shellcheck source=/dev/null
[ ! -f "$ROOT/etc/tiny-cloud.conf" ] || . "$ROOT/etc/tiny-cloud.conf"
: "${CLOUD:=auto}"
: "${CLOUD_USER:=alpine}"
: "${TINY_CLOUD_LOGS:=$ROOT/var/log}"
: "${TINY_CLOUD_VAR:=$ROOT/var/lib/cloud}"

# log [-i] [-s] [-f FACILITY] [-t TAG] LEVEL TEXT...: to syslog; with -i to standard error too.
log() {
	log_options='' log_aloud='' log_facility=local7 log_tag=$(basename "$0")
	while :; do
		case "$1" in
		-i) log_aloud=yes ;;
		-s) log_options=-s ;;
		-f) shift && log_facility=$1 ;;
		-t) shift && log_tag=$log_tag/$1 ;;
		*) break ;;
		esac
		shift
	done
	log_level=$1
	shift
	[ -z "$log_aloud" ] || echo "$*" >&2
	# shellcheck disable=SC2086 # no option is not a word
	logger $log_options -p "$log_facility.$log_level" -t "$log_tag" -- "$*" 2> /dev/null || :
}

# replace_word OLD NEW WORD...
replace_word() {
	replace_old=$1 replace_new=$2
	shift 2
	for word; do
		[ "$word" != "$replace_old" ] || word=$replace_new
		echo "$word"
	done
}

# insert_before PLACE NEW WORD..., insert_after PLACE NEW WORD...
insert_before() {
	insert_place=$1 insert_new=$2
	shift 2
	for word; do
		[ "$word" != "$insert_place" ] || echo "$insert_new"
		echo "$word"
	done
}

insert_after() {
	insert_place=$1 insert_new=$2
	shift 2
	for word; do
		echo "$word"
		[ "$word" != "$insert_place" ] || echo "$insert_new"
	done
}

# add_once FILE LINE...
add_once() {
	add_file=$1
	shift
	mkdir -p "${add_file%/*}"
	for line; do
		grep -qxF -- "$line" "$add_file" 2> /dev/null || printf '%s\n' "$line" >> "$add_file"
	done
}
