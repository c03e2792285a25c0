"""The findings of `doctor` and `health`: one line each, even if a check fails unexpectedly.

docs/findings.schema.json has their form for programs.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterable
from enum import StrEnum
from typing import Literal, TypeVar

import typer
from pydantic import ConfigDict, Field

from omi.outscale.deadline import TooLateError, within
from omi.publish.model import Projection
from omi.support.errors import OmiError, one_line

T = TypeVar("T")
_LOGIN = re.compile(r"//[^@/\s]*@")
"""User and password in a URL; a backend's may hold them."""


class Severity(StrEnum):
    """A finding's level."""

    GOOD = "good"
    WARNING = "warning"
    ERROR = "error"


class Finding(Projection):
    """The result of one check."""

    check: str = Field(description="The check's name, which several findings may have.")
    region: str | None = Field(None, description="The Region that it is of; null if of none.")
    build: str | None = Field(None, description="The build that it is of; null if of none.")
    level: Severity
    text: str = Field(description="The result, and what to do.")


class Findings(Projection):
    """The findings of one run."""

    model_config = ConfigDict(title="Findings of alpine-omi's doctor and health")

    format: Literal[1] = 1
    ok: bool = Field(description="Whether none is an error.")
    findings: tuple[Finding, ...]


def levels_of(found: Iterable[Finding]) -> Counter[Severity]:
    """The number of findings of each level."""
    return Counter(finding.level for finding in found)


def report(findings: Iterable[Finding], *, as_json: bool) -> None:
    """Print each finding as it comes and the number of each level, or all findings for programs.

    Exit code 1 if any is an error.
    """
    found: list[Finding] = []
    for finding in findings:
        found.append(finding)
        if not as_json:
            where = "".join(f"{each}: " for each in (finding.region, finding.build) if each)
            print(f"{finding.level:7}  {finding.check:12}  {where}{finding.text}", flush=True)
    levels = levels_of(found)
    if as_json:
        print(Findings(ok=not levels[Severity.ERROR], findings=tuple(found)).model_dump_json(indent=2))
    else:
        print(", ".join(f"{levels[level]} {level}" for level in Severity))
    refuse_errors(found)


def refuse_errors(found: Iterable[Finding]) -> None:
    """End with exit code 1 if any finding is an error."""
    if levels_of(found)[Severity.ERROR]:
        raise typer.Exit(1)


class Doubt(OmiError):  # noqa: N818 - it is a warning
    """A problem that stops no update, or might not."""


class NotChecked(Doubt):
    """A check that can't run, with the reason."""

    def __init__(self, why: str) -> None:
        super().__init__(f"not checked: {why}")


def find(check: str, region: str | None, limit: float, work: Callable[[], str]) -> Finding:
    """Run `work` for at most `limit` seconds. Its result is a good finding; an error that it raises, a bad one."""
    level = Severity.ERROR
    try:
        text, level = within(limit, work), Severity.GOOD
    except Doubt as doubt:
        text, level = str(doubt), Severity.WARNING
    except OmiError as error:
        text = str(error)
    except TooLateError:
        text = f"no result within {limit:.0f} s; check the network, then run again"
    except Exception as error:  # a fault of the program itself must not hide other findings
        text = f"unexpected {type(error).__name__}: {error}"
    return Finding(check=check, region=region, level=level, text=one_line(_LOGIN.sub("//", text)))


def known(value: T | None, check: str) -> T:
    """The value that another check found; NotChecked if it found none."""
    if value is None:
        raise NotChecked(f"see {check}")
    return value
