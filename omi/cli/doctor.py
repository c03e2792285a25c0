"""`doctor`: whether an update could run as things are, before anything is made."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict

from omi.cli.checkup import Checkup
from omi.cli.findings import Finding, Level
from omi.cli.stack import parser_of

_WIDTHS = (7, 12)


def doctor(arguments: Sequence[str]) -> int:
    """`doctor -s STACK [--json]`: one line for each check; exit code 1 if any is an error, else 0."""
    parser = parser_of("doctor")
    parser.add_argument("--json", action="store_true", help="for machines")
    given = parser.parse_args(arguments)
    found: list[Finding] = []
    for finding in Checkup(given.stack).run():
        found.append(finding)
        if not given.json:
            print(_line(finding), flush=True)
    levels = Counter(finding.level for finding in found)
    if given.json:
        value = {"format": 1, "ok": not levels[Level.ERROR], "findings": [asdict(finding) for finding in found]}
        print(json.dumps(value, indent=2, ensure_ascii=False))
    else:
        print(", ".join(f"{levels[level]} {level}" for level in Level))
    return 1 if levels[Level.ERROR] else 0


def _line(finding: Finding) -> str:
    level, check = (cell.ljust(width) for cell, width in zip((finding.level, finding.check), _WIDTHS, strict=True))
    where = f"{finding.region}: " if finding.region else ""
    return f"{level}  {check}  {where}{finding.text}"
