"""`fork`: turns a copy of a stack's state into a stack of its own, without the other's images."""

from __future__ import annotations

from omi.cli.stack import Stack, Yes, read_stack
from omi.config.stack import empty_state
from omi.state.show import render_columns
from omi.support.errors import InputError


def fork(stack: Stack, yes: Yes = False) -> None:
    """Have this state forget its id and its images; the account is not touched.

    The next update gives it an id of its own. The images bear the other stack's id, so they are external.
    """
    settings, held = read_stack(stack)
    if settings.recover is not None:
        raise InputError(
            "stack config: recover: would give this state its images back: `pulumi config rm recover` first"
        )
    if not held.ledger.images:
        raise InputError(f"stack {stack!r}: its state holds no image, so it is not a copy of another's")
    rows = [(image.region, image.record.omi, image.name) for image in held.ledger.images]
    print(render_columns([("REGION", "OMI", "NAME"), *rows]))
    if yes:
        empty_state(stack)
        print(
            f"This state has forgotten {len(rows)} images and the stack id {held.owner.stack_id}; the OMIs stay. "
            f"`pulumi up -s {stack}` gives it an id of its own."
        )
    else:
        print(
            "Nothing is changed yet. --yes has this state forget these images, and no OMI goes: for a copy, while the "
            "state that it was copied from lives on."
        )
