"""Findings of `doctor` and `health`: a line each, whatever happens while it is found."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import TypeVar

from omi.outscale.deadline import TooLateError, within
from omi.support.errors import OmiError, one_line

T = TypeVar("T")
_LOGIN = re.compile(r"//[^@/\s]*@")
"""User and password in a URL; a mirror's or a backend's may hold them."""
_WIDTHS = (7, 12)


class Severity(StrEnum):
    """How good it is."""

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


def line_of(finding: Finding) -> str:
    """A finding as a line of the table."""
    level, check = (cell.ljust(width) for cell, width in zip((finding.level, finding.check), _WIDTHS, strict=True))
    where = f"{finding.region}: " if finding.region else ""
    return f"{level}  {check}  {where}{finding.text}"


def levels_of(found: Sequence[Finding]) -> Counter[Severity]:
    """How many findings there are of each level."""
    return Counter(finding.level for finding in found)


def summary(found: Sequence[Finding]) -> str:
    """The table's last line."""
    levels = levels_of(found)
    return ", ".join(f"{levels[level]} {level}" for level in Severity)


def findings_json(found: Sequence[Finding]) -> str:
    """The findings for programs."""
    value = {"format": 1, "ok": not levels_of(found)[Severity.ERROR], "findings": [asdict(each) for each in found]}
    return json.dumps(value, indent=2, ensure_ascii=False)


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
