"""A preview and an up that change nothing, against an empty Pulumi program in the same run.

    . toolchain/env.sh; python -m bench.no_change [STACK]

The stack (default `sandbox`) has its images already. Runs alternate, so that the machine's mood meets both alike; the
ratio of the medians is reported. The empty program has a stack on a backend of its own, and no resource.
"""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from bench import as_usual

RUNS = 7


def empty_program(folder: Path) -> dict[str, str]:
    """A Pulumi program that declares nothing, and the environment to run it in."""
    (folder / "backend").mkdir()
    (folder / "Pulumi.yaml").write_text("name: empty\nruntime: python\n", encoding="utf-8")
    (folder / "__main__.py").write_text("import pulumi\n", encoding="utf-8")
    environment = {**as_usual(os.environ), "PULUMI_BACKEND_URL": (folder / "backend").as_uri()}
    subprocess.run(["pulumi", "stack", "init", "empty"], cwd=folder, env=environment, check=True, capture_output=True)
    return environment


def seconds(command: list[str], folder: Path, environment: dict[str, str]) -> float:
    """Wall time of one run, which must succeed and change nothing."""
    begun = time.monotonic()
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"{' '.join(command)} failed:\n{done.stdout}{done.stderr}")
    return time.monotonic() - begun


def main() -> None:
    """Print both medians and their ratio, for preview and for up."""
    stack = sys.argv[1] if len(sys.argv) > 1 else "sandbox"
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        environment = empty_program(folder)
        subprocess.run(
            ["pulumi", "up", "-y", "-f", "-s", "empty"], cwd=folder, env=environment, check=True, capture_output=True
        )
        for verb in (["preview"], ["up", "--yes", "--skip-preview"]):
            ours, bare = [], []
            for _ in range(RUNS):
                bare.append(seconds(["pulumi", *verb, "--stack", "empty"], folder, environment))
                unchanged = ["pulumi", *verb, "--expect-no-changes", "--stack", stack]
                ours.append(seconds(unchanged, Path.cwd(), as_usual(os.environ)))
            mine, theirs = statistics.median(ours), statistics.median(bare)
            print(f"{verb[0]}: {mine:.2f} s, empty program {theirs:.2f} s, ratio {mine / theirs:.2f}")


if __name__ == "__main__":
    main()
