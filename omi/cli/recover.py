"""`recover`: has the next update take in images again that the stack's state has lost."""

from __future__ import annotations

from typing import Annotated

import typer

from omi.cli.stack import Stack, StackId, Yes, read_stack
from omi.config.settings import Recovery, Settings
from omi.config.stack import configure, unset
from omi.plan import Action
from omi.plan.held import Held
from omi.plan.planning import plan_stack
from omi.plan.recovery import lost_stacks
from omi.plan.report import render_table
from omi.plan.survey import survey_stack
from omi.state.owner import Owner
from omi.support.errors import InputError


def recover(
    stack: Stack,
    images: Annotated[
        list[str] | None, typer.Argument(metavar="IMAGE", help="only these, by name (default: all)")
    ] = None,
    stack_id: StackId = None,
    yes: Yes = False,
) -> None:
    """Show which images that the state has lost would be taken in again; with --yes, ask the next update for it."""
    settings, held = read_stack(stack)
    lost = _stack_id(settings, held, stack_id)
    asked = Recovery(stack_id=lost, images=tuple(images or ()))
    owner = Owner(held.owner.project, held.owner.stack, asked.stack_id)
    before, settings = settings.recover, settings.model_copy(update={"recover": asked})
    seen = survey_stack(settings, Held(owner, held.ledger, held.memory))
    plan = plan_stack(settings, seen)
    found = {step.name for step in plan.of(Action.RECOVER)}
    missing = sorted(set(images or ()) - found)
    if missing or not found:
        named = f" named {', '.join(missing)}" if missing else ""
        reasons = [each for each in plan.warnings if each.startswith("recover: ami-")]
        none = f"recover: the account holds no verified image{named} of the stack id {lost} that this state lacks"
        raise InputError("; ".join([none, *reasons]))
    print(render_table(plan))
    if yes:
        names = {f".images[{index}]": name for index, name in enumerate(asked.images)}
        if before is not None:  # its longer list would stay behind a shorter one
            unset(stack, "recover")
        configure(stack, "recover", {".stack_id": lost, **names})
        print(f"This is in the stack's config now: `pulumi preview` shows it, `pulumi up -s {stack}` does it.")
    else:
        print("Nothing is changed yet. --yes writes it into the stack's config, for `pulumi up` to do.")


def _stack_id(settings: Settings, held: Held, given: str | None) -> str:
    if not held.is_fresh:
        if given not in (None, held.owner.stack_id):
            raise InputError(
                f"--stack-id {given}: this state is of the stack id {held.owner.stack_id} already; recover in an empty "
                "state (docs/recovery.md)"
            )
        return held.owner.stack_id
    if known := given or settings.recovered_id:
        return known
    found = lost_stacks(survey_stack(settings, held))
    if len(found) == 1:
        return next(iter(found))
    known_ids = ", ".join(f"{stack_id} ({count} images)" for stack_id, count in sorted(found.items())) or "none"
    raise InputError(
        f"stack {held.owner.stack!r}: its state holds no id, and its name doesn't lead to exactly one; "
        f"give --stack-id; verified images of this project and stack bear: {known_ids}"
    )
