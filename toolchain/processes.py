"""Running a tool and waiting for it, never without a limit and never with a secret in its environment."""

import os
import re
import subprocess
from collections.abc import Sequence
from pathlib import Path

from toolchain.errors import ToolchainError

# Go and pip know where they fetch from by other variables (GOPROXY, PIP_INDEX_URL, NETRC).
_SECRET = re.compile(r"^(OSC|AWS)_|KEY|SECRET|TOKEN|PASSW|PASSPHRASE|CREDENTIAL", re.IGNORECASE)


def run(arguments: Sequence[str | Path], *, limit: float, cwd: Path | None = None, **changed: str) -> str:
    """Standard output of a program that must succeed within `limit` seconds; `changed` are variables for it.

    ToolchainError has the last line that it wrote when it fails.
    """
    env = {name: value for name, value in os.environ.items() if not _SECRET.search(name)} | changed
    shown = " ".join(str(argument) for argument in arguments[:4])
    try:
        done = subprocess.run(
            arguments,
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
        raise ToolchainError(f"`{shown}` could not be run: {error.strerror}") from error
    if done.returncode:
        lines = [line for line in (done.stderr + done.stdout).splitlines() if line.strip()]
        raise ToolchainError(f"`{shown}` failed: {lines[-1].strip() if lines else f'exit status {done.returncode}'}")
    return done.stdout
