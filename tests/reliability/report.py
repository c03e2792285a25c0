"""The table of a fault matrix, as Markdown."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from tests.reliability.matrix import COMMANDS, Verdict

_COLUMNS: tuple[tuple[str, Callable[[Sequence[Verdict]], int]], ...] = (
    ("faults tried", len),
    ("recovered", lambda some: sum(each.recovered for each in some)),
    ("failed cleanly", lambda some: sum(not each.recovered and each.clean for each in some)),
    ("failed otherwise", lambda some: sum(not each.clean for each in some)),
    ("left something at once", lambda some: sum(bool(each.left_at_once) for each in some)),
    ("left after the next command", lambda some: sum(bool(each.left) for each in some)),
    ("images lost", lambda some: sum(len(each.lost) for each in some)),
    ("others' things touched", lambda some: sum(len(each.touched) for each in some)),
    ("wrong results", lambda some: sum(bool(each.wrong) for each in some)),
)


def table(verdicts: Iterable[Verdict]) -> str:
    """A line a command and one for all; cases whose fault never struck are left out."""
    reached = [each for each in verdicts if each.reached]
    lines = ["| command | " + " | ".join(name for name, _ in _COLUMNS) + " |", "|---" * (len(_COLUMNS) + 1) + "|"]
    for command in (*COMMANDS, "all"):
        some = [each for each in reached if command in (each.command, "all")]
        lines.append(f"| {command} | " + " | ".join(str(count(some)) for _, count in _COLUMNS) + " |")
    return "\n".join(lines)


def by_kind(verdicts: Iterable[Verdict]) -> str:
    """A line a kind of fault: how often tried, recovered, failed cleanly, and the longest that a command took."""
    reached = [each for each in verdicts if each.reached]
    lines = ["| fault | tried | recovered | failed cleanly | bad | longest (s) |", "|---" * 6 + "|"]
    for kind in sorted({each.kind for each in reached}):
        some = [each for each in reached if each.kind == kind]
        recovered = sum(each.recovered for each in some)
        clean = sum(not each.recovered and each.clean for each in some)
        bad = sum(not each.is_good for each in some)
        longest = max(each.seconds for each in some)
        lines.append(f"| {kind} | {len(some)} | {recovered} | {clean} | {bad} | {longest:.0f} |")
    return "\n".join(lines)


def failures(verdicts: Iterable[Verdict]) -> str:
    """What was not good, a line each."""
    return "\n".join(each.to_json() for each in verdicts if not each.is_good)
