"""A stack without running the engine: its images, its plan."""

from __future__ import annotations

from typing import Annotated

import typer

from omi.config.settings import Settings
from omi.config.stack import PROJECT, exported_state, stack_config
from omi.plan.held import Held, read_state
from omi.plan.planning import plan_stack
from omi.plan.report import plan_json, render_table
from omi.plan.survey import survey_stack
from omi.publish import unheld_lines
from omi.state.ledger import resources_of_export
from omi.state.show import render_images
from omi.support.errors import PlanError

Stack = Annotated[str, typer.Option("--stack", "-s", help="the stack's name, as `pulumi stack ls` shows it")]
StackId = Annotated[
    str | None, typer.Option(metavar="ID", help="of a lost state: its id, which what it made bears as the tag stack-id")
]
Yes = Annotated[bool, typer.Option("--yes", help="do it, instead of only showing it")]
Json = Annotated[bool, typer.Option("--json", help="for programs")]


def images(stack: Stack) -> None:
    """Show a table of the images that the stack's state holds."""
    _, held = read_stack(stack)
    print(render_images(held.ledger))


def plan(stack: Stack, as_json: Json = False) -> None:
    """Show what `pulumi preview` would plan, without the engine; exit code 9 if the guard refuses a part of it."""
    settings, held = read_stack(stack)
    made = plan_stack(settings, survey_stack(settings, held))
    print(
        plan_json(made)
        if as_json
        else "\n".join([render_table(made), *unheld_lines(settings, held.ledger, held.memory.pruned)])
    )
    if made.refused:
        raise typer.Exit(PlanError.exit_code)


def read_stack(name: str) -> tuple[Settings, Held]:
    """A stack's configuration and what its state holds."""
    settings = Settings.load(stack_config(name))
    return settings, read_state(resources_of_export(exported_state(name)), PROJECT, name, settings.recovered_id)
