"""Wall time of `make demo` and the memory of everything it starts, sandbox and VMs included.

    . toolchain/env.sh; python -m bench.demo

Start from a stopped and reset sandbox and an empty stack for fresh builds. Memory is the proportional set size
(PSS) of all processes that began after this one, summed twice a second; its peak is reported.
"""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

TICK = 0.5
"""Seconds between two sums."""


def started_after(first: int) -> Iterator[Path]:
    """Folders of /proc of the processes that started later than the given clock tick since boot."""
    for folder in Path("/proc").iterdir():
        if not folder.name.isdigit():
            continue
        try:
            started = int((folder / "stat").read_text().rsplit(")", 1)[1].split()[19])
        except (OSError, IndexError):
            continue
        if started > first:
            yield folder


def memory_kib(first: int) -> int:
    """Their PSS in KiB."""
    total = 0
    for folder in started_after(first):
        try:
            lines = (folder / "smaps_rollup").read_text().splitlines()
        except OSError:
            continue
        total += sum(int(line.split()[1]) for line in lines if line.startswith("Pss:"))
    return total


def measure(command: Sequence[str]) -> tuple[int, float, float]:
    """Run a command: its exit code, seconds, and the peak of its memory in MiB."""
    own = int(Path("/proc/self/stat").read_text().rsplit(")", 1)[1].split()[19])
    peak, done = 0, threading.Event()

    def watch() -> None:
        nonlocal peak
        while not done.wait(TICK):
            peak = max(peak, memory_kib(own))

    watcher = threading.Thread(target=watch, daemon=True)
    watcher.start()
    begun = time.monotonic()
    code = subprocess.run(command, check=False).returncode
    seconds = time.monotonic() - begun
    done.set()
    watcher.join()
    return code, seconds, peak / 1024


def main() -> int:
    """Run it, print `demo: N s, peak N MiB`; the exit code is make's."""
    code, seconds, peak = measure(["make", "demo"])
    print(f"demo: {seconds:.0f} s, peak {peak:.0f} MiB")
    return code


if __name__ == "__main__":
    sys.exit(main())
