"""The least EIM policies, from what runs really call: `python -m tests.reliability.rights [--write] [--each]`.

There are two: what a key must be allowed, and what the home Region's must be besides where images are copied from
there to another Region, whose own key has the first alone meanwhile. Every scene (scenes.py) is a run of the program,
real Packer and plugin included, on stub VMs. The sandbox logs what they call. Without options the union is compared
with docs/eim-policy.json and docs/eim-policy-copy.json, by which the sandbox holds the runs at the same time;
`--write` has no policy hold and writes the files. `--each` takes each right away in turn and shows which call of
which scene is refused then. Exit code 1 if anything differs. Needs the toolchain's environment (`.
toolchain/env.sh`).
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from queue import SimpleQueue

from omi.support.atomic import write_atomically
from tests.reliability.scenes import COPY_POLICY, COPY_SCENES, POLICY, SCENES, Go, granted
from tests.reliability.stage import Booth, staged

WORKERS = 4


@dataclass(frozen=True)
class Noted:
    """What one scene called, was refused, and said last of what failed."""

    scene: str
    seconds: float
    called: frozenset[str]
    refused: frozenset[str]
    failed: str


def play(booth: Booth, scene: str, rights: Sequence[str] | None) -> Noted:
    """One scene in a booth whose key has these rights (None: all)."""
    go, start = Go(booth, rights, scene in COPY_SCENES), time.monotonic()
    try:
        {**SCENES, **COPY_SCENES}[scene](booth, go)
    finally:
        booth.set_faults()
    return Noted(scene, time.monotonic() - start, frozenset(go.called), frozenset(go.refused), go.failed)


def play_all(booths: Sequence[Booth], tasks: Iterable[tuple[str, Sequence[str] | None]]) -> list[Noted]:
    """Scenes and their rights, one at a time in each booth; in the order in which they were given."""
    free: SimpleQueue[Booth] = SimpleQueue()
    for booth in booths:
        free.put(booth)

    def one(task: tuple[str, Sequence[str] | None]) -> Noted:
        booth = free.get()
        try:
            return play(booth, *task)
        finally:
            free.put(booth)

    with ThreadPoolExecutor(len(booths)) as several:
        return list(several.map(one, tasks))


def document(rights: Iterable[str]) -> str:
    """A policy that allows these and nothing else, as the file has it."""
    statement = {"Effect": "Allow", "Action": sorted(rights), "Resource": ["*"]}
    return json.dumps({"Statement": [statement]}, indent=2) + "\n"


def without_each(noted: Sequence[Noted], rights: Sequence[str]) -> list[tuple[str, str, list[str]]]:
    """For each right: itself, the quickest scene that called it, and all rights but it."""
    quick = sorted(noted, key=lambda each: each.seconds)
    return [
        (right, next(each.scene for each in quick if right in each.called), [one for one in rights if one != right])
        for right in sorted(rights)
    ]


def main(arguments: Sequence[str] | None = None) -> int:
    """Run it."""
    parser = argparse.ArgumentParser(prog="python -m tests.reliability.rights", description=__doc__.splitlines()[0])
    parser.add_argument("--write", action="store_true", help="write docs/eim-policy.json and eim-policy-copy.json")
    parser.add_argument("--each", action="store_true", help="take each right away in turn")
    parser.add_argument("--workers", type=int, default=WORKERS, help="scenes at once (%(default)s)")
    given = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory(prefix="rights-") as folder, staged(Path(folder), given.workers) as stage:
        policies = ((POLICY, SCENES), (COPY_POLICY, COPY_SCENES))
        bad = [_try_policy(stage.booths, path, list(scenes), given) for path, scenes in policies]
    return 1 if any(bad) else 0


def _try_policy(booths: Sequence[Booth], path: Path, scenes: Sequence[str], given: argparse.Namespace) -> bool:
    """Whether anything of the policy is not as it must be; told."""
    noted = play_all(booths, [(scene, None if given.write else granted(path)) for scene in scenes])
    called = frozenset[str]().union(*(each.called for each in noted))
    _print_scenes(noted)
    if given.write:
        write_atomically(path, document(called))
    differs = _differences(noted, called, set(granted(path)))
    print("\n".join(differs) or f"{len(called)} rights: those of {path.name}, and nothing was refused")
    spare = _take_each(booths, noted, sorted(called)) if given.each else []
    return bool(differs or spare)


def _print_scenes(noted: Sequence[Noted]) -> None:
    seen: set[str] = set()
    for each in noted:
        print(f"{each.scene} ({each.seconds:.0f} s): {', '.join(sorted(each.called - seen)) or 'nothing more'}")
        if each.failed:
            print(f"  {each.failed}")
        seen |= each.called


def _differences(noted: Sequence[Noted], called: frozenset[str], have: set[str]) -> list[str]:
    return [
        *(f"refused though it was called: {right}" for each in noted for right in sorted(each.refused)),
        *(f"called, but not in the policy: {right}" for right in sorted(called - have)),
        *(f"in the policy, but never called: {right}" for right in sorted(have - called)),
    ]


def _take_each(booths: Sequence[Booth], noted: Sequence[Noted], rights: Sequence[str]) -> list[str]:
    """Print what comes of each lack; returns the rights whose lack nothing noticed."""
    tasks = without_each(noted, rights)
    results = play_all(booths, [(scene, rest) for _, scene, rest in tasks])
    for (right, scene, _), seen in zip(tasks, results, strict=True):
        came = seen.failed or "it went on"
        print(f"without {right}: {scene}: refused {', '.join(sorted(seen.refused)) or 'NOTHING'}; {came}")
    spare = [right for (right, _, _), seen in zip(tasks, results, strict=True) if right not in seen.refused]
    print(f"{len(tasks)} rights taken away one by one, {len(spare)} of them not missed")
    return spare


if __name__ == "__main__":
    sys.exit(main())
