"""`publish`: the releases files from the stack's state, signed where a key is given."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated

import typer

from omi.cli.stack import Stack, read_stack
from omi.config.settings import Settings
from omi.plan.survey import survey_fixes
from omi.publish import export_ledger, forget_unheld, unheld_lines
from omi.publish.model import MissingFixes
from omi.publish.security import missing_in
from omi.publish.signature import PublishingKey
from omi.publish.signed import publish_signed, require_unsigned
from omi.state.ledger import Ledger
from omi.support import clock
from omi.support.environment import SIGNING_KEY
from omi.support.errors import OmiError
from omi.support.places import expand


def publish(
    stack: Stack,
    key: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="SSH key to sign with: a private key, or the public one of a key in your agent; without it the text "
            f"of a private key in {SIGNING_KEY}",
        ),
    ] = None,
    forget: Annotated[
        list[str] | None,
        typer.Option(
            metavar="IMAGE",
            help="take an image out that the state lacks (may be repeated); without it nothing is taken out",
        ),
    ] = None,
) -> None:
    """Update the releases files from the stack's state, with the fixes that images lack today, and sign them.

    Without a key they are not signed. A folder that was signed once always needs a key.
    """
    signing = PublishingKey.find(key, os.environ)
    settings, held = read_stack(stack)
    folder, ledger = expand(settings.releases_dir), held.ledger
    if signing is None:
        require_unsigned(folder)
        lines = forget_unheld(settings, ledger, forget or ())
        missing, warnings = _missing(settings, ledger)
        lines += export_ledger(settings, ledger, missing, held.memory.pruned)
        lines += unheld_lines(settings, ledger)
        done = f"written, not signed: for that give a key by --key FILE or in {SIGNING_KEY}"
    else:
        missing, warnings = _missing(settings, ledger)
        lines = publish_signed(settings, stack, ledger, signing, missing, forget or (), held.memory.pruned)
        done = "written and signed"
    for line in (*warnings, *lines):
        print(line)
    print(f"{folder}: {len(ledger.images)} images {done}")


def _missing(settings: Settings, ledger: Ledger) -> tuple[Mapping[str, MissingFixes], tuple[str, ...]]:
    """The fixes that images lack today, by resource, and warnings; of others the files keep what was known."""
    try:
        builds, security, offers = survey_fixes(settings, ledger)
    except OmiError as error:
        return {}, (f"the fixes that images lack stay as they were: {error}",)
    return missing_in(ledger, builds, security, offers, settings.releases_dir, clock.today()), security.warnings
