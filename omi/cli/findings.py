"""Findings of `doctor` and `health`: a line each, whatever happens while it is found."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import TypeVar

import typer

from omi.outscale.deadline import TooLateError, within
from omi.support.errors import OmiError, one_line

T = TypeVar("T")
_LOGIN = re.compile(r"//[^@/\s]*@")
"""User and password in a URL; a mirror's or a backend's may hold them."""


class Severity(StrEnum):
    """How good a finding is."""

    GOOD = "good"
    WARNING = "warning"
    ERROR = "error"


@dataclass(frozen=True)
class Finding:
    """The result of one check, in a Region if it is of one; `text` is what was found and what to do."""

    check: str
    region: str | None
    level: Severity
    text: str


def levels_of(found: Iterable[Finding]) -> Counter[Severity]:
    """How many findings there are of each level."""
    return Counter(finding.level for finding in found)


def report(findings: Iterable[Finding], *, as_json: bool) -> None:
    """Print each finding as it comes, and how many there are of each level, or all for programs.

    Exit code 1 if any is an error.
    """
    found: list[Finding] = []
    for finding in findings:
        found.append(finding)
        if not as_json:
            where = f"{finding.region}: " if finding.region else ""
            print(f"{finding.level:7}  {finding.check:12}  {where}{finding.text}", flush=True)
    levels = levels_of(found)
    if as_json:
        value = {"format": 1, "ok": not levels[Severity.ERROR], "findings": [asdict(each) for each in found]}
        print(json.dumps(value, indent=2, ensure_ascii=False))
    else:
        print(", ".join(f"{levels[level]} {level}" for level in Severity))
    refuse_errors(found)


def refuse_errors(found: Iterable[Finding]) -> None:
    """End with exit code 1 if any finding is an error."""
    if levels_of(found)[Severity.ERROR]:
        raise typer.Exit(1)


class Doubt(OmiError):  # noqa: N818 - it is a warning
    """Something that stops no update, or may not."""


class NotChecked(Doubt):
    """It can't be checked, for the reason that is named."""

    def __init__(self, why: str) -> None:
        super().__init__(f"not checked: {why}")


def find(check: str, region: str | None, limit: float, work: Callable[[], str]) -> Finding:
    """Run `work` for at most `limit` seconds: the text that it returns is good, an error that it raises is not."""
    level = Severity.ERROR
    try:
        text, level = within(limit, work), Severity.GOOD
    except Doubt as doubt:
        text, level = str(doubt), Severity.WARNING
    except OmiError as error:
        text = str(error)
    except TooLateError:
        text = f"no result within {limit:.0f} s; check the network, then run again"
    except Exception as error:  # a fault of the program itself hides no other finding
        text = f"unexpected {type(error).__name__}: {error}"
    return Finding(check, region, level, one_line(_LOGIN.sub("//", text)))


def known(value: T | None, check: str) -> T:
    """The value that another check found; NotChecked where it didn't."""
    if value is None:
        raise NotChecked(f"see {check}")
    return value
