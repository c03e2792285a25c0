#!/bin/sh
# Makes the Python environment .venv with the packages of requirements.txt, and makes it again when these or the Python
# changed. Needs neither root nor the network where nothing changed. Run it in the project's top folder.
#
#   venv.sh [PYTHON]   the Python to use, python3 by default
set -eu

python=${1:-python3}
stamp=.venv/requirements.stamp

fail() {
	echo "venv: $*" >&2
	exit 1
}

# The environment of a Python that the system has replaced since has no pip.
if .venv/bin/python -c 'import pip' 2>/dev/null; then
	! cmp -s requirements.txt "$stamp" || exit 0
else
	command -v "$python" >/dev/null || fail "$python is not on PATH: install Python 3.11 or newer"
	version=$("$python" -c 'import sys; print("%d.%d" % sys.version_info[:2])') || fail "$python does not run"
	"$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' ||
		fail "$python is Python $version, but 3.11 or newer is needed: name one, as in \`make PYTHON=python3.11 tools\`"
	"$python" -c 'import ensurepip, venv' 2>/dev/null ||
		fail "$python has no venv module: install it (Debian, Ubuntu: sudo apt-get install python$version-venv)"
	rm -f "$stamp"
	"$python" -m venv .venv
fi
echo 'venv: installing requirements.txt into .venv, and the command omi'
.venv/bin/python -m pip install --quiet --disable-pip-version-check -r requirements.txt --editable . ||
	fail 'pip failed (its last lines are above): see that it reaches its package index, then run this again'
cp requirements.txt "$stamp"
