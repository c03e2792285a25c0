"""The parsers under a coverage-guided fuzzer: `make fuzz`, or `python -m tests.hostile.fuzz SECONDS [TARGET...]`.

It needs atheris, which `make fuzz` installs for itself alone: no test asks for it.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from importlib import import_module
from pathlib import Path
from typing import Any

LONGEST = 20_000
"""Bytes of an input that it makes."""


def main() -> int:
    """Try each target in a process of its own for its share of the time; the exit code is 0 if nothing was found."""
    if len(sys.argv) > 2 and sys.argv[1] == "--one":
        return _one(sys.argv[2], sys.argv[3:])
    from tests.hostile.targets import TARGETS

    names = sys.argv[2:] or list(TARGETS)
    share = max(1, int(sys.argv[1]) // len(names))
    found = []
    for name in names:
        with tempfile.TemporaryDirectory(prefix="omi-fuzz-") as folder:
            for number, seed in enumerate(TARGETS[name].seeds):
                (Path(folder) / f"seed-{number}").write_bytes(seed)
            options = [f"-max_total_time={share}", f"-max_len={LONGEST}", "-timeout=20", "-rss_limit_mb=2048"]
            command = [sys.executable, "-m", "tests.hostile.fuzz", "--one", name, folder, *options]
            done = subprocess.run(command, capture_output=True, text=True, errors="replace", check=False)
        told = [line for line in done.stderr.splitlines() if line.startswith(("#", "Done"))]
        print(f"{name}: {'ok' if done.returncode == 0 else 'FOUND'}: {told[-1] if told else ''}", flush=True)
        if done.returncode:
            found.append(name)
            print(done.stderr[-4000:])
    return 1 if found else 0


def _one(name: str, arguments: list[str]) -> int:
    atheris: Any = import_module("atheris")
    with atheris.instrument_imports(include=["omi"]):
        targets = import_module("tests.hostile.targets")
    target = targets.TARGETS[name]

    def attempt(data: bytes) -> None:
        targets.check(target, data)

    atheris.Setup([sys.argv[0], *arguments], attempt)
    atheris.Fuzz()
    return 0


if __name__ == "__main__":
    sys.exit(main())
