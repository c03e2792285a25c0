"""Running a tool and waiting for it, never without a limit."""

import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

from toolchain.errors import ToolchainError


def run(arguments: Sequence[str | Path], *, env: Mapping[str, str], limit: float, cwd: Path | None = None) -> str:
    """Standard output of a program that must succeed within `limit` seconds.

    ToolchainError carries the last line it wrote when it fails.
    """
    words = [str(argument) for argument in arguments]
    shown = " ".join(words[:4])
    try:
        done = subprocess.run(
            words,
            env=env,
            cwd=cwd,
            timeout=limit,
            capture_output=True,
            text=True,
            check=False,
            stdin=subprocess.DEVNULL,
        )
    except subprocess.TimeoutExpired as error:
        raise ToolchainError(f"`{shown}` did not end within {limit:.0f} s") from error
    except OSError as error:
        raise ToolchainError(f"`{shown}` could not be run: {error}") from error
    if done.returncode:
        lines = [line for line in (done.stderr + done.stdout).splitlines() if line.strip()]
        raise ToolchainError(f"`{shown}` failed: {lines[-1].strip() if lines else f'exit status {done.returncode}'}")
    return done.stdout
