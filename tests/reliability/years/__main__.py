"""Simulated years: two years of weekly plans for each seed, made-up and Alpine's own, until the time is over.

    python -m tests.reliability.years [--seconds N] [--seed N]

Prints a line for each; exit code 1 if a promise was broken.
"""

from __future__ import annotations

import argparse
import sys
import time
from itertools import count

from tests.reliability.years.lives import years


def main() -> int:
    """Go on until the time is over; one seed at least."""
    parser = argparse.ArgumentParser(prog="python -m tests.reliability.years", description=__doc__)
    parser.add_argument("--seconds", type=float, default=60, help="(%(default)s)")
    parser.add_argument("--seed", type=int, default=1, help="the first one (%(default)s)")
    given = parser.parse_args()
    end, broken, told = time.monotonic() + given.seconds, 0, 0
    for seed in count(given.seed):
        for what, found in years(seed):
            told += 1
            print(f"seed {seed}, {what}: {found}", flush=True)
            for line in [*found.broken, *found.refused, *found.stopped]:
                print(f"    {line}")
            broken += bool(found.broken)
        if time.monotonic() > end:
            break
    print(f"{told} times two years: {broken} broke a promise")
    return bool(broken)


if __name__ == "__main__":
    sys.exit(main())
