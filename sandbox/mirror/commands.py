"""Run the tools that unpack and fetch; a failure is one clear line."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path

from sandbox.environment import plain
from sandbox.mirror.errors import MirrorError

# where Debian keeps tools that an ordinary user's PATH leaves out
_SYSTEM_FOLDERS = "/usr/sbin:/sbin"


def run_tool(
    command: Sequence[str], *, cure: str, seconds: float, folder: Path | None = None, variables: Sequence[str] = ()
) -> str:
    """Standard output of a command; MirrorError with its last words and `cure` where it fails or takes too long.

    `variables` are those of this process that it gets besides the usual ones.
    """
    program = shutil.which(command[0], path=f"{os.environ.get('PATH', os.defpath)}:{_SYSTEM_FOLDERS}")
    if program is None:
        raise MirrorError(f"{command[0]} is missing: {cure}")
    try:
        done = subprocess.run(
            [program, *command[1:]],
            cwd=folder,
            env={**plain(*variables), "LC_ALL": "C"},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=seconds,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise MirrorError(f"{command[0]} did not end within {seconds:.0f} seconds: {cure}") from None
    if done.returncode != 0:
        words = (done.stderr.strip() or done.stdout.strip() or "no message").splitlines()[-1]
        raise MirrorError(f"{command[0]} failed with exit code {done.returncode} ({words}): {cure}")
    return done.stdout
