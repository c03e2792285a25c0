"""What a person asks of a stack without running the engine: its images, its releases files, its plan."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from typing import NoReturn

from omi.errors import InputError
from omi.ledger import Ledger, owner_of, read_ledger, resources_of_export
from omi.owner import Owner
from omi.planning import plan_stack
from omi.releases import export_ledger
from omi.report import plan_json, render_table
from omi.settings import Settings
from omi.show import render_images
from omi.stack import PROJECT, StackFile, exported_state
from omi.survey import survey_stack


def images(arguments: Sequence[str]) -> int:
    """`images -s STACK`: a table of the images that the stack's state holds."""
    _, ledger = _read("images", arguments)
    print(render_images(ledger))
    return 0


def releases(arguments: Sequence[str]) -> int:
    """`releases -s STACK`: write the releases files anew from the stack's state."""
    settings, ledger = _read("releases", arguments)
    for line in export_ledger(settings, ledger):
        print(line)
    print(f"{settings.releases_dir}: {len(ledger.images)} images written")
    return 0


def plan(arguments: Sequence[str]) -> int:
    """`plan -s STACK [--json]`: what a preview would show."""
    parser = parser_of("plan")
    parser.add_argument("--json", action="store_true", help="for machines")
    given = parser.parse_args(arguments)
    settings, ledger, owner = read_stack(given.stack)
    made = plan_stack(settings, ledger, survey_stack(settings, ledger, owner))
    print(plan_json(made) if given.json else render_table(made))
    return 0


class Parser(argparse.ArgumentParser):
    """Tells a wrong argument as every other error is told."""

    def error(self, message: str) -> NoReturn:
        raise InputError(f"{self.prog}: {message}; see `python3 -m {self.prog} --help`")


def parser_of(command: str) -> Parser:
    parser = Parser(prog=f"omi {command}")
    parser.add_argument("-s", "--stack", required=True, help="the stack's name, as `pulumi stack ls` shows it")
    return parser


def _read(command: str, arguments: Sequence[str]) -> tuple[Settings, Ledger]:
    settings, ledger, _ = read_stack(parser_of(command).parse_args(arguments).stack)
    return settings, ledger


def read_stack(name: str) -> tuple[Settings, Ledger, Owner]:
    """A stack's configuration, the images that its state holds, and whose they are."""
    settings, resources = Settings.load(StackFile(name)), resources_of_export(exported_state(name))
    return settings, read_ledger(resources), owner_of(resources, PROJECT, name)
