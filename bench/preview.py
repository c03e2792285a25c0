"""Compares previews and updates with programs that do nothing else, in one run.

    . toolchain/env.sh; python -m bench.preview [--runs N] [CASE...]

Cases (all, if none is named): `held` is a preview and an up without changes of a stack of 30 images, against an empty
program; `many` a preview without changes of 1,000 images, and `new` an up of 300 images whose build is a stub, each
against a bare program that declares as many commands with the same words. Account and upstream are a sandbox of this
run's own, in which the images are registered; states are imported, not built. Runs alternate, so that a busy moment
slows both sides alike. The figures are medians of wall time, and of CPU seconds beside them.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from bench.stacks import BareProgram, EmptyProgram, ImageProgram, RunSeconds, Side, project_on_sandbox


@dataclass(frozen=True)
class Comparison:
    """Medians of both sides' runs."""

    name: str
    ours: RunSeconds
    other: RunSeconds
    runs: int

    def __str__(self) -> str:
        wall, cpu = (self.ours.wall, self.other.wall), (self.ours.cpu, self.other.cpu)
        return (
            f"{self.name}: {wall[0]:.2f} s against {wall[1]:.2f} s, ratio {wall[0] / wall[1]:.2f} "
            f"(CPU {cpu[0]:.2f} s against {cpu[1]:.2f} s, ratio {cpu[0] / cpu[1]:.2f}; {self.runs} runs each)"
        )


def compare(name: str, runs: int, ours: Callable[[], RunSeconds], other: Callable[[], RunSeconds]) -> Comparison:
    """Run both in turn."""
    mine, theirs = zip(*[(ours(), other()) for _ in range(runs)], strict=True)
    return Comparison(name, _median(mine), _median(theirs), runs)


def _median(runs: Sequence[RunSeconds]) -> RunSeconds:
    return RunSeconds(statistics.median(run.wall for run in runs), statistics.median(run.cpu for run in runs))


def held(ours: ImageProgram, folder: Path, runs: int, builds: int = 10, revisions: int = 3) -> Iterator[Comparison]:
    """30 images, nothing to do."""
    count = f"{len(ours.hold('held', builds, revisions))} images, empty program"
    empty = EmptyProgram(folder / "empty", ours)
    yield compare(f"preview of {count}", runs, lambda: ours.preview("held"), lambda: empty.preview("empty"))
    yield compare(f"up of {count}", runs, lambda: ours.up("held"), lambda: empty.up("empty"))


def many(ours: ImageProgram, folder: Path, runs: int, builds: int = 25, revisions: int = 40) -> Iterator[Comparison]:
    """1,000 images, nothing to do."""
    commands = ours.hold("many", builds, revisions)
    bare = BareProgram(folder / "bare", ours, commands)
    bare.hold()
    name = f"preview of {len(commands)} images, bare program"
    yield compare(name, runs, lambda: ours.preview("many"), lambda: bare.preview("bare"))


def new(ours: ImageProgram, folder: Path, runs: int, builds: int = 300) -> Iterator[Comparison]:
    """300 images that are all to be made, by a stub in both programs."""
    ours.stub_builds()
    commands = ours.plan_new("new", builds)
    bare = BareProgram(folder / "bare-new", ours, commands)

    def run(side: Side, stack: str) -> RunSeconds:
        side.forget(stack)
        return side.up(stack, changes=True)

    yield compare(
        f"up of {len(commands)} new images, bare program", runs, lambda: run(ours, "new"), lambda: run(bare, "bare")
    )


Case = Callable[[ImageProgram, Path, int], Iterator[Comparison]]
CASES: dict[str, tuple[Case, int]] = {"held": (held, 11), "many": (many, 5), "new": (new, 3)}


def main() -> None:
    """Print one line for each comparison."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("cases", nargs="*", metavar="CASE", help=f"of {', '.join(CASES)}; all if none is named")
    parser.add_argument("--runs", type=int, help="runs of each side; by default 11, 5 and 3")
    given = parser.parse_args()
    if unknown := set(given.cases) - set(CASES):
        parser.error(f"no such case: {', '.join(sorted(unknown))}; there are {', '.join(CASES)}")
    for name, (case, runs) in CASES.items():
        if not given.cases or name in given.cases:
            with tempfile.TemporaryDirectory(prefix="omi-bench-") as place, project_on_sandbox(Path(place)) as project:
                for comparison in case(ImageProgram(project), Path(place), given.runs or runs):
                    print(comparison, flush=True)


if __name__ == "__main__":
    main()
