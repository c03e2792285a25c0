# shellcheck shell=sh
# The start of every step, sourced in the project's top folder: the environment, the stack, and a report.
set -eu

fail() {
	echo "ci: $*" >&2
	exit 1
}

for name in STACK PULUMI_BACKEND_URL OSC_ACCESS_KEY OSC_SECRET_KEY; do
	eval "value=\${$name:-}"
	[ -n "$value" ] || fail "$name is not set: docs/ci.md says where the CI keeps it"
done
unset name value
# The object store takes the same key as the cloud. A bucket elsewhere has a key of its own.
if [ -z "${AWS_ACCESS_KEY_ID:-}" ]; then
	export AWS_ACCESS_KEY_ID="$OSC_ACCESS_KEY" AWS_SECRET_ACCESS_KEY="$OSC_SECRET_KEY"
fi
# OUTSCALE's object store knows no other checksums.
export AWS_REQUEST_CHECKSUM_CALCULATION=when_required AWS_RESPONSE_CHECKSUM_VALIDATION=when_required

# Pulumi's own logs lie among the tools, which the CI keeps in a cache.
export PULUMI_LOG_ROTATION_MAX_TOTAL_MB=1 PULUMI_LOG_ROTATION_MAX_AGE_DAYS=1

[ -f toolchain/env.sh ] || fail 'run the steps in the top folder of the project'
. toolchain/env.sh
ci=build/ci
mkdir -p "$ci"

# report NAME: begin build/ci/NAME.md, which GitHub also shows as the run's summary.
report() {
	report=$ci/$1.md
	: >"$report"
	trap 'cat "$report" >>"${GITHUB_STEP_SUMMARY:-/dev/null}"' EXIT
}

# section TITLE COMMAND...: run it, show its output, and add that to the report. Gives the command's exit code.
section() {
	title=$1
	shift
	echo "== $title"
	echo 0 >"$ci/code"
	{ "$@" 2>&1 || echo "$?" >"$ci/code"; } | tee "$ci/output.txt"
	{
		printf '### %s\n\n~~~~\n' "$title"
		# A comment holds 65536 characters.
		tail -c 50000 "$ci/output.txt"
		printf '~~~~\n\n'
	} >>"$report"
	return "$(cat "$ci/code")"
}

in_stack() { # COMMAND...: of pulumi, for this stack and a log
	pulumi --non-interactive --color never "$@" --stack "$STACK"
}
