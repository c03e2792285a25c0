# shellcheck shell=sh
# The project's environment, for any POSIX shell:  . toolchain/env.sh
# Only variables are set; sourcing it again changes nothing. A shell that doesn't know where a sourced file lies
# (dash, for one) must be in the project's top folder.

alpine_omi_env() {
	alpine_omi_here=toolchain/env.sh
	# In eval, because the other shells can't even read these words.
	if [ -n "${BASH_VERSION:-}" ]; then
		eval 'alpine_omi_here=${BASH_SOURCE[1]:-${BASH_SOURCE[0]}}'
	elif [ -n "${ZSH_VERSION:-}" ]; then
		eval 'alpine_omi_here=${(%):-%x}'
	fi
	alpine_omi_top=$(CDPATH='' cd -- "$(dirname -- "$alpine_omi_here")/.." 2>/dev/null && pwd -P) || alpine_omi_top=
	if [ -z "$alpine_omi_top" ] || [ ! -f "$alpine_omi_top/toolchain/env.sh" ]; then
		echo 'toolchain/env.sh: this shell does not know where the file lies: cd to the top of the project first' >&2
		return 1
	fi
	alpine_omi_tools=$(readlink -- "$alpine_omi_top/.venv/toolchain") || alpine_omi_tools=
	if [ ! -x "$alpine_omi_top/.venv/bin/python" ] || [ ! -f "$alpine_omi_tools/tools.json" ]; then
		echo "toolchain/env.sh: the tools are missing: run \`make tools\` in $alpine_omi_top, then source this again" >&2
		return 1
	fi

	# Pulumi's Python language host takes the first python3 on PATH, so .venv must come before everything else.
	alpine_omi_dirs=$alpine_omi_top/.venv/bin:$alpine_omi_tools/bin
	case $PATH: in
	"$alpine_omi_dirs:"*) ;;
	*) PATH=$alpine_omi_dirs:$PATH ;;
	esac
	export PATH
	export VIRTUAL_ENV="$alpine_omi_top/.venv"
	unset PYTHONHOME

	export PULUMI_HOME="$alpine_omi_tools/pulumi-home"
	# Pulumi keeps a log of each of its commands there, a week's or at most so many MB; 500 by itself.
	export PULUMI_LOG_ROTATION_MAX_TOTAL_MB="${PULUMI_LOG_ROTATION_MAX_TOTAL_MB:-50}"
	# Where state lies; the sandbox stack's config refers to it.
	if [ -z "${ALPINE_OMI_STATE:-}${XDG_STATE_HOME:-}${HOME:-}" ]; then
		echo 'toolchain/env.sh: HOME is not set: set it, or ALPINE_OMI_STATE to a folder for state' >&2
		return 1
	fi
	export ALPINE_OMI_STATE="${ALPINE_OMI_STATE:-${XDG_STATE_HOME:-$HOME/.local/state}/alpine-omi}"
	if [ -z "${PULUMI_BACKEND_URL:-}" ]; then
		mkdir -p -- "$ALPINE_OMI_STATE/pulumi" || return 1
		export PULUMI_BACKEND_URL="file://$ALPINE_OMI_STATE/pulumi"
	fi
	# Nothing secret is ever in config or state, so an empty passphrase gives nothing away.
	if [ -z "${PULUMI_CONFIG_PASSPHRASE+set}" ] && [ -z "${PULUMI_CONFIG_PASSPHRASE_FILE:-}" ]; then
		export PULUMI_CONFIG_PASSPHRASE=
	fi
	# One build is one VM. Pulumi's own default, four for each core, would start dozens on a large machine, more than
	# an account's quota or this machine's memory holds.
	export PULUMI_PARALLEL="${PULUMI_PARALLEL:-4}"
	# One build that fails doesn't keep the queued ones from beginning; the update ends with an error all the same.
	export PULUMI_CONTINUE_ON_ERROR="${PULUMI_CONTINUE_ON_ERROR:-true}"
	# The tools are pinned and in place: nothing is looked up, fetched or taken from elsewhere on PATH.
	export PULUMI_SKIP_UPDATE_CHECK=true
	export PULUMI_DISABLE_AUTOMATIC_PLUGIN_ACQUISITION=true
	export PULUMI_DISABLE_REGISTRY_RESOLVE=true
	export PULUMI_IGNORE_AMBIENT_PLUGINS=true

	export PACKER_PLUGIN_PATH="$alpine_omi_tools/packer-plugins"
	export CHECKPOINT_DISABLE=1
}

if alpine_omi_env; then
	alpine_omi_status=0
else
	alpine_omi_status=1
fi
unset -f alpine_omi_env
unset alpine_omi_here alpine_omi_top alpine_omi_tools alpine_omi_dirs
# Last, so that it is what `. toolchain/env.sh` gives back; never an exit, which would end the caller's shell.
[ "$alpine_omi_status" = 0 ]
