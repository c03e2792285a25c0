# shellcheck shell=sh
# What the scripts tell. Needs is_full and root_mib; leaves say_step, note, fail, run and report_end.

current_step="starting"
reported=

# Progress for people: what is being done now.
say_step() {
	current_step=$*
	echo "guest: STEP $*"
}

# Something to know that stops nothing.
note() {
	echo "guest: note: $*"
}

# fail WHAT CURE: the one line that says why it ends here. Whatever failed on a full disk failed for that.
fail() {
	if is_full; then
		set -- "the root volume of $(root_mib) MiB is full: $1" "raise volume_size in the profile"
	fi
	echo "guest: ERROR: $1 ($2)" >&2
	reported=yes
	exit 1
}

# run COMMAND...: the failed command is named.
run() {
	result=0
	"$@" || result=$?
	[ "$result" -eq 0 ] || fail "$current_step: '$*' ended with exit code $result" "the lines above say why"
}

# The end of the whole with an exit code: a failure that nothing has reported is reported here.
report_end() {
	if [ "$1" -ne 0 ] && [ -z "$reported" ]; then
		echo "guest: ERROR: $current_step ended with exit code $1 (the lines above say why)" >&2
	fi
}
