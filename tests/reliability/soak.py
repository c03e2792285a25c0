"""What `make soak` runs, by one seed: simulated years, faults of the cloud, interruptions, each a third of the time.

    python -m tests.reliability.soak [--seconds N] [--seed N]

Prints the seed and the tables of all; exit code 1 if one of them found anything.
"""

from __future__ import annotations

import argparse
import secrets
import subprocess
import sys

_MANY = str(10**6)
"""Runs: the time ends them."""


def main() -> int:
    """Run all, even if one fails."""
    parser = argparse.ArgumentParser(prog="python -m tests.reliability.soak", description=__doc__)
    parser.add_argument("--seconds", type=float, default=1800, help="for all together (%(default)s)")
    parser.add_argument("--seed", type=int, help="what all draws follow from (default: a new one)")
    given = parser.parse_args()
    seed = secrets.randbelow(10**6) if given.seed is None else given.seed
    print(f"soak: seed {seed}, {given.seconds:.0f} s; again by: make soak SEED={seed}", flush=True)
    options = ["--seed", str(seed), "--seconds", str(given.seconds / 3)]
    codes = {
        "years": _run("years", *options),
        "faults": _run("faults", *options),
        "interruption": _run("interruption", *options, "--runs", _MANY),
    }
    for name, code in codes.items():
        print(f"soak: seed {seed}: {name}: {'all well' if code == 0 else f'PROBLEMS (exit code {code})'}", flush=True)
    return max(map(bool, codes.values()))


def _run(module: str, *options: str) -> int:
    return subprocess.run([sys.executable, "-m", f"tests.reliability.{module}", *options], check=False).returncode


if __name__ == "__main__":
    sys.exit(main())
