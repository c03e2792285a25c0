"""`build` and `prune`: run the stack once for only that; all other images stay as state holds them."""

from __future__ import annotations

from typing import Annotated

import typer

from omi.cli.stack import Stack, Yes, read_stack
from omi.config.one_off import OneOff, PruneLevel
from omi.config.settings import Settings
from omi.config.stack import configure, update
from omi.plan.planning import plan_stack
from omi.plan.report import render_table
from omi.plan.survey import Survey, survey_stack
from omi.support.errors import InputError

Builds = Annotated[list[str] | None, typer.Argument(metavar="BUILD", help="only these builds (default: all)")]


def build(
    stack: Stack,
    builds: Builds = None,
    again: Annotated[
        bool, typer.Option("--again", help="another revision, though the content is the same; recorded in the config")
    ] = False,
    yes: Yes = False,
) -> None:
    """Build images that the profile wants and the stack lacks, and prune nothing; with --yes, do it."""
    settings, held = read_stack(stack)
    seen, one_off = survey_stack(settings, held), OneOff(action="build", builds=tuple(builds or ()))
    counts = _counted(settings, seen, one_off.builds) if again else {}
    settings = settings.model_copy(update={"again": {**settings.again, **counts}})
    if _show(settings, seen, one_off, yes):
        if counts:
            configure(stack, "again", {f'["{name}"]': count for name, count in counts.items()})
        _update(stack, one_off)


def prune(
    stack: Stack,
    builds: Builds = None,
    level: Annotated[
        PruneLevel | None, typer.Option(help="the level to apply (default: what the stack's retention says)")
    ] = None,
    yes: Yes = False,
) -> None:
    """Prune at once, shared images too, and build nothing; with --yes, do it.

    `--level end-of-life` removes every image of a version past its end, even the newest. Images on `retention.protect`
    stay, and images that a VM runs from.
    """
    settings, held = read_stack(stack)
    seen, one_off = survey_stack(settings, held), OneOff(action="prune", builds=tuple(builds or ()), level=level)
    if _show(settings, seen, one_off, yes):
        _update(stack, one_off)


def _counted(settings: Settings, seen: Survey, names: tuple[str, ...]) -> dict[str, int]:
    """The new count for each build that is asked for again."""
    targets = {target.name: target for target in seen.profile.builds}
    if not names:
        raise InputError(f"--again: name the builds; there are: {', '.join(targets) or 'none'}")
    for name in names:
        if name not in targets:
            raise InputError(f"build {name!r}: is not in the profile; there are: {', '.join(targets) or 'none'}")
        if targets[name].revision is not None:
            raise InputError(
                f"build {name}: `revision: {targets[name].revision}` pins it; take that out of the profile first"
            )
    return {name: settings.again.get(name, 0) + 1 for name in names}


def _show(settings: Settings, seen: Survey, one_off: OneOff, yes: bool) -> bool:
    """Print the plan; returns whether to carry it out."""
    plan = plan_stack(settings, seen, one_off)
    print(render_table(plan))
    if not plan.changes:
        print("There is nothing to do.")
    elif not yes:
        print("Nothing is done yet: --yes runs `pulumi up` for just this.")
    return plan.changes and yes


def _update(stack: str, one_off: OneOff) -> None:
    if code := update(stack, one_off.environment):
        raise typer.Exit(code)
