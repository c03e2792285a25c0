"""What a person does, in what state, struck by what: the cases, and what each did to images and to others' things.

    python -m tests.reliability.adversary [--only TEXT] [--workers N] [--write]

Prints the table that docs/reliability.md has, or writes it there; exit code 1 if a case lost, left or harmed anything.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from threading import Lock

from tests.reliability.cases import CASES, DESTROYS, Case
from tests.reliability.deeds import PERSON, STATES, STRUCK
from tests.reliability.edits import ONE, ONE_OLD
from tests.reliability.ring import Place, Ring, Round, ledger_in, ring

DOC = Path(__file__).resolve().parents[2] / "docs" / "reliability.md"
BEGIN, END = "<!-- adversary: begin -->", "<!-- adversary: end -->"
_STAYS = (
    "retention.max_prunes",
    "has lost its tag claim",
    "protected",
    "since their Region left",
    "of other content is this stack's own",
)
"""Why a command ends with an error for as long as a person does nothing about it."""
_FAULTS = ("lost", "left", "harmed", "wrong")


@dataclass
class Found:
    """What a case did that it should not; empty where all is well."""

    case: Case
    lost: list[str] = field(default_factory=list)
    """Verified images that are gone, less widely shared or no longer published."""
    left: list[str] = field(default_factory=list)
    """What is new in the account and in no state after the next update."""
    harmed: list[str] = field(default_factory=list)
    """What isn't the stack's and was changed or removed."""
    wrong: list[str] = field(default_factory=list)
    """A command that ended otherwise than it should."""
    seconds: float = 0.0
    said: str = ""

    @property
    def good(self) -> bool:
        return not (self.lost or self.left or self.harmed or self.wrong)


def try_case(where: Place, case: Case) -> Found:
    """Do it, then update once more, and compare."""
    start, at, found = time.monotonic(), where.begin(), Found(case)
    STATES[case.state](at)
    STRUCK[case.struck](at)
    PERSON[case.person](at)
    at.clear_faults()
    found.wrong += [*_judge_end(at, case), *_shared(at, case.revoked)]
    _settle(at, case, found)
    found.wrong += _shared(at, case.revoked)
    found.lost += [*_lost(at, case.prunes, case.revoked), *(_unheld(at, case.prunes) if case.recovers else ())]
    found.left += _left(at)
    found.harmed += _harmed(at)
    found.seconds, found.said = time.monotonic() - start, "\n".join(at.said)
    return found


def _judge_end(at: Round, case: Case) -> Iterator[str]:
    if "Traceback" in at.last.text:
        yield "a traceback"
    if case.refused is None and case.struck == "-" and at.last.code != 0:
        yield f"it failed: {at.last.text[-600:]}"
    if case.refused is not None and (at.last.code == 0 or case.refused not in at.last.text):
        yield f"it did not say {case.refused!r} (exit {at.last.code}): {at.last.text[-600:]}"


def _settle(at: Round, case: Case, found: Found) -> None:
    """The next update, as a person runs it whatever happened; after a destroy that one again."""
    again = ("destroy", "--yes", "--skip-preview") if case.person in DESTROYS else ("up", "--yes", "--skip-preview")
    for _ in range(2):
        done = at.pulumi(*again)
        if done.code == 0 or any(why in done.text for why in _STAYS):
            return
    found.wrong.append(f"the next update failed: {done.text[-600:]}")


def _shared(at: Round, revoked: Sequence[str]) -> Iterator[str]:
    """Revoked images that others may launch, or to which a pointer leads."""
    for name in revoked:
        image = at.image(at.ids[name])
        if image is not None and image["PermissionsToLaunch"]["GlobalPermission"]:
            yield f"{name} is public again"
        if name in at.pulumi("stack", "output", "latest", "--json").text:
            yield f"{name} is the latest again"


def _lost(at: Round, prunes: set[str], revoked: Sequence[str]) -> Iterator[str]:
    feed = (at.project.folder / "releases" / "sandbox" / "alpine.json").read_text(encoding="utf-8")
    for name, omi in at.ids.items():
        if name in prunes:
            continue
        image = at.image(omi)
        if image is None:
            yield f"{name} is gone"
            continue
        if name in {ONE, ONE_OLD}.difference(revoked) and not image["PermissionsToLaunch"]["GlobalPermission"]:
            yield f"{name} is no longer public"
        if at.snapshot_of(omi) not in at.things():
            yield f"the snapshot of {name} is gone"
        if omi not in feed:
            yield f"{name} is no longer published"


def _unheld(at: Round, prunes: set[str]) -> Iterator[str]:
    """Images that the state in use does not hold as the stack's own."""
    ledger = ledger_in(at.project.folder / at.backend, at.stack)
    own = {image.record.omi for image in ledger.images if not image.record.adopted}
    yield from (f"{name} is not in state" for name, omi in at.ids.items() if name not in prunes and omi not in own)


def _left(at: Round) -> Iterator[str]:
    known = {*at.before, *at.own, *at.ids.values()}
    for ledger in at.ledgers():
        known |= {each for image in ledger.images for each in (image.record.omi, *image.record.snapshots)}
    known |= at.known()
    for key, thing in at.things().items():
        if key not in known:
            yield f"{thing['kind']} {key} ({thing.get('name')})"


def _harmed(at: Round) -> Iterator[str]:
    now = at.things()
    for key, thing in {**at.before, **at.own}.items():
        if now.get(key) != thing:
            yield f"{thing['kind']} {key} ({thing.get('name')}) is {'gone' if key not in now else 'changed'}"


# --- the table ---------------------------------------------------------------------------------------------------


def table(results: Sequence[Found]) -> str:
    """Markdown: a row for each command of a person, with its states and what struck, and the totals."""
    head = ("a person's command", "state, and what struck", "cases", "lost", "left", "harmed", "ended wrongly")
    rows = [head, ("---",) * len(head)]
    for person in dict.fromkeys(each.case.person for each in results):
        of = [each for each in results if each.case.person == person]
        shown = "; ".join(e.case.state if e.case.struck == "-" else f"{e.case.state}, {e.case.struck}" for e in of)
        rows.append((person, shown, *_counts(of)))
    rows.append(("all", "", *_counts(results)))
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)


def _counts(results: Sequence[Found]) -> tuple[str, ...]:
    return (str(len(results)), *(str(sum(bool(getattr(each, key)) for each in results)) for key in _FAULTS))


def problems(results: Iterable[Found]) -> str:
    """What was found, case by case; empty where all is well."""
    return "\n".join(
        f"{each.case.id}: lost {each.lost}, left {each.left}, harmed {each.harmed}, ended {each.wrong}"
        for each in results
        if not each.good
    )


def try_all(cases: Sequence[Case], folder: Path, say: Callable[[str], object], workers: int = 1) -> list[Found]:
    """Every case; each worker has a place of its own."""

    waiting = iter(cases)
    guard = Lock()

    def work(where: Ring, number: int) -> list[Found]:
        with where.place(f"w{number}") as place:
            return [_told(try_case(place, case), say) for case in _taken(waiting, guard)]

    with ring(folder, len(cases)) as where, ThreadPoolExecutor(workers) as pool:
        parts = list(pool.map(partial(work, where), range(workers)))
    results = {found.case.id: found for part in parts for found in part}
    return [results[case.id] for case in cases]


def _taken(waiting: Iterator[Case], guard: Lock) -> Iterator[Case]:
    """Those that this worker gets."""
    while True:
        with guard:
            case = next(waiting, None)
        if case is None:
            return
        yield case


def _told(found: Found, say: Callable[[str], object]) -> Found:
    say(f"{found.case.id}: {'well' if found.good else 'PROBLEM'} ({found.seconds:.0f} s)")
    if not found.good:
        say(f"{problems([found])}\n{found.said}")
    return found


def main() -> int:
    """Run the cases and print or write the table."""
    parser = argparse.ArgumentParser(prog="python -m tests.reliability.adversary", description=__doc__)
    parser.add_argument("--only", default="", help="cases whose line has this in it")
    parser.add_argument("--workers", type=int, default=2, help="how many cases at once (%(default)s)")
    parser.add_argument("--write", action="store_true", help=f"put the table into {DOC.name}")
    given = parser.parse_args()
    chosen = [case for case in CASES if given.only in case.id]
    with tempfile.TemporaryDirectory(prefix="omi-ring-") as folder:
        results = try_all(chosen, Path(folder), lambda line: print(line, flush=True), given.workers)
    shown = table(results)
    print(shown)
    if given.write:
        text = DOC.read_text(encoding="utf-8")
        head, tail = text.partition(BEGIN)[0], text.partition(END)[2]
        DOC.write_text(f"{head}{BEGIN}\n{shown}\n{END}{tail}", encoding="utf-8")
    return 1 if problems(results) else 0


if __name__ == "__main__":
    sys.exit(main())
