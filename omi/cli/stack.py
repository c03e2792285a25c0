"""What a person asks of a stack without running the engine: its images, its releases files, its plan."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from typing import NoReturn

from omi.config.settings import Settings
from omi.config.stack import PROJECT, StackFile, exported_state
from omi.plan.held import Held, read_state
from omi.plan.planning import plan_stack
from omi.plan.report import plan_json, render_table
from omi.plan.survey import survey_stack
from omi.publish import export_ledger, forget_unheld, unheld_lines
from omi.state.ledger import resources_of_export
from omi.state.show import render_images
from omi.support.errors import InputError, PlanError


def images(arguments: Sequence[str]) -> int:
    """`images -s STACK`: a table of the images that the stack's state holds."""
    _, held = read_stack(parser_of("images").parse_args(arguments).stack)
    print(render_images(held.ledger))
    return 0


def releases(arguments: Sequence[str]) -> int:
    """`releases -s STACK [--forget IMAGE]`: bring the stack's state into the releases files."""
    parser = parser_of("releases")
    parser.add_argument(
        "--forget",
        action="append",
        default=[],
        metavar="IMAGE",
        help="take an image out that the state lacks (may be repeated); without it nothing is taken out",
    )
    given = parser.parse_args(arguments)
    settings, held = read_stack(given.stack)
    ledger = held.ledger
    lines = forget_unheld(settings, ledger, given.forget) + export_ledger(settings, ledger)
    for line in (*lines, *unheld_lines(settings, ledger)):
        print(line)
    print(f"{settings.releases_dir}: {len(ledger.images)} images written")
    return 0


def plan(arguments: Sequence[str]) -> int:
    """`plan -s STACK [--json]`: what a preview would show."""
    parser = parser_of("plan")
    parser.add_argument("--json", action="store_true", help="for machines")
    given = parser.parse_args(arguments)
    settings, held = read_stack(given.stack)
    made = plan_stack(settings, held.ledger, survey_stack(settings, held))
    print(plan_json(made) if given.json else "\n".join([render_table(made), *unheld_lines(settings, held.ledger)]))
    return PlanError.exit_code if made.refused else 0


class Parser(argparse.ArgumentParser):
    """Tells a wrong argument as every other error is told."""

    def error(self, message: str) -> NoReturn:
        raise InputError(f"{self.prog}: {message}; see `python3 -m {self.prog} --help`")


def parser_of(command: str) -> Parser:
    parser = Parser(prog=f"omi {command}")
    parser.add_argument("-s", "--stack", required=True, help="the stack's name, as `pulumi stack ls` shows it")
    return parser


def read_stack(name: str) -> tuple[Settings, Held]:
    """A stack's configuration and what its state holds."""
    settings = Settings.load(StackFile(name))
    return settings, read_state(resources_of_export(exported_state(name)), PROJECT, name, settings.recovered_id)
