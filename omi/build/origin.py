"""The origin of an image besides its profile: this project's commit and the tools that build it."""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from omi.build.packer.tools import PackerTools
from omi.support.environment import without_keys

UNKNOWN = "unknown"
CHANGED = "+changes"
"""Follows a commit if the checkout has changes that are not committed."""
_LIMIT = 30
"""Seconds that a tool may take to name its version."""
_VERSION = re.compile(r"v?(\d+(?:\.\d+)+[^\s,]*)")
_COMMIT = re.compile(r"[0-9a-f]{40,64}")


@dataclass(frozen=True)
class Origin:
    """`commit` is git's, UNKNOWN outside of a checkout, perhaps with CHANGED; `tools` are versions by name."""

    commit: str
    tools: Mapping[str, str]


def read_origin(project: Path, tools: PackerTools, environ: Mapping[str, str]) -> Origin:
    """Ask git and the tools. One that doesn't answer is UNKNOWN, since no build should fail for it."""
    return Origin(
        commit_of(project, environ),
        {
            "pulumi": _version(["pulumi", "version"], environ),
            "packer": _version([tools.packer, "version"], environ),
            "packer-plugin-outscale": tools.version,
        },
    )


def commit_of(project: Path, environ: Mapping[str, str] = os.environ) -> str:
    """The commit of the checkout at `project`. Changes to the program's own exports don't count."""
    git = ["git", "-C", str(project)]
    top = _answer([*git, "rev-parse", "--show-toplevel"], environ)
    commit = _answer([*git, "rev-parse", "HEAD"], environ)
    if not top or Path(top).resolve() != project.resolve() or not _COMMIT.fullmatch(commit or ""):
        return UNKNOWN
    changes = _answer([*git, "status", "--porcelain", "--", ".", ":(exclude)releases"], environ)
    return f"{commit}{CHANGED if changes is None or changes else ''}"


def _version(command: Sequence[str], environ: Mapping[str, str]) -> str:
    found = _VERSION.search(_answer(command, environ) or "")
    return found[1] if found else UNKNOWN


def _answer(command: Sequence[str], environ: Mapping[str, str]) -> str | None:
    """Standard output; None where the program is missing, fails or takes too long."""
    quiet = {"LC_ALL": "C", "GIT_OPTIONAL_LOCKS": "0", "CHECKPOINT_DISABLE": "1", "PULUMI_SKIP_UPDATE_CHECK": "true"}
    try:
        done = subprocess.run(
            command,
            env={**without_keys(environ), **quiet},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=_LIMIT,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout.strip() if done.returncode == 0 else None
