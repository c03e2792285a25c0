"""What the examples are checked and run by, each in one version, made once and kept in the tools' cache."""

from __future__ import annotations

import re
import shutil
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from toolchain.errors import ToolchainError
from toolchain.gobuild import find_go
from toolchain.processes import run
from toolchain.store import Store, cache_folder

ACTIONLINT = "github.com/rhysd/actionlint/cmd/actionlint@v1.7.12"
GITLAB_CI_LOCAL = "gitlab-ci-local@4.72.0"
_NODE = 20
"""Later versions than this one need Node 22, which neither Debian 12 nor 13 has."""
PULUMI_OUTSCALE = "pulumi-outscale==0.0.1"
"""Not in requirements.txt: wherever it is installed, each `pulumi up` wants its plugin, too."""
_SETUPTOOLS = "setuptools==80.9.0"
"""It imports pkg_resources, which newer ones lack."""
_LIMIT = 600.0
"""Seconds that making one may take."""


def actionlint() -> Path:
    """Compiled by Go; where it can't be had, the test is skipped with the reason."""

    def make(folder: Path) -> None:
        go = find_go(_store(), print)
        run([go, "install", ACTIONLINT], limit=_LIMIT, GOBIN=str(folder), GOFLAGS="-buildvcs=false", CGO_ENABLED="0")

    return _made(ACTIONLINT, "actionlint", make)


def gitlab_ci_local() -> Path:
    """Installed by npm; where it can't be had, the test is skipped with the reason."""
    for program in ("node", "npm", "rsync"):
        if shutil.which(program) is None:
            pytest.skip(f"gitlab-ci-local needs {program}, which is not on PATH")
    version = re.search(r"\d+", run(["node", "--version"], limit=60))
    if version is None or int(version[0]) < _NODE:
        pytest.skip(f"gitlab-ci-local needs Node {_NODE} or newer")

    def make(folder: Path) -> None:
        options = ("--ignore-scripts", "--no-audit", "--no-fund")
        run(["npm", "install", "--prefix", folder, *options, GITLAB_CI_LOCAL], limit=_LIMIT)

    return _made(GITLAB_CI_LOCAL, "node_modules/.bin/gitlab-ci-local", make)


def pulumi_outscale() -> Path:
    """A folder for PYTHONPATH, filled by pip; where it can't be had, the test is skipped with the reason."""

    def make(folder: Path) -> None:
        pip = (sys.executable, "-m", "pip", "install", "--quiet", "--retries", "0", "--no-deps", "--target", folder)
        run([*pip, PULUMI_OUTSCALE, _SETUPTOOLS], limit=_LIMIT)

    return _made(PULUMI_OUTSCALE, "pulumi_outscale", make).parent


def _made(pin: str, program: str, make: Callable[[Path], None]) -> Path:
    store = _store()
    place = store.made / re.sub(r"[^a-z0-9.-]", "-", pin.rpartition("/")[2])
    try:
        with store.lock(print):
            return (place if (place / program).exists() else store.make(place, make)) / program
    except ToolchainError as error:
        pytest.skip(f"{pin} can't be had: {error}")


def _store() -> Store:
    return Store(cache_folder())
