"""`doctor`: whether an update could run as things are, before anything is made."""

from __future__ import annotations

import typer

from omi.cli.checkup import Checkup
from omi.cli.findings import Finding, Severity, findings_json, levels_of, line_of, summary
from omi.cli.stack import Json, Stack


def doctor(stack: Stack, as_json: Json = False) -> None:
    """Check whether an update could run as things are, before anything is made: one line for each check.

    Exit code 1 if any is an error, else 0.
    """
    found: list[Finding] = []
    for finding in Checkup(stack).run():
        found.append(finding)
        if not as_json:
            print(line_of(finding), flush=True)
    print(findings_json(found) if as_json else summary(found))
    if levels_of(found)[Severity.ERROR]:
        raise typer.Exit(1)
