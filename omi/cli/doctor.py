"""`doctor`: whether an update could run as things are, before anything is made."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import asdict

import typer

from omi.cli.checkup import Checkup
from omi.cli.findings import Finding, Severity
from omi.cli.stack import Json, Stack

_WIDTHS = (7, 12)


def doctor(stack: Stack, as_json: Json = False) -> None:
    """Check whether an update could run as things are, before anything is made: one line for each check.

    Exit code 1 if any is an error, else 0.
    """
    found: list[Finding] = []
    for finding in Checkup(stack).run():
        found.append(finding)
        if not as_json:
            print(line_of(finding), flush=True)
    levels = Counter(finding.level for finding in found)
    if as_json:
        value = {"format": 1, "ok": not levels[Severity.ERROR], "findings": [asdict(finding) for finding in found]}
        print(json.dumps(value, indent=2, ensure_ascii=False))
    else:
        print(", ".join(f"{levels[level]} {level}" for level in Severity))
    if levels[Severity.ERROR]:
        raise typer.Exit(1)


def line_of(finding: Finding) -> str:
    """A finding as a line of the table."""
    level, check = (cell.ljust(width) for cell, width in zip((finding.level, finding.check), _WIDTHS, strict=True))
    where = f"{finding.region}: " if finding.region else ""
    return f"{level}  {check}  {where}{finding.text}"
