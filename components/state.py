"""The stack's own state as the program reads it at its start."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from typing import Any

import pulumi
from pulumi.runtime.invoke import InvokeResult

from omi.plan.held import MEMORY
from omi.plan.memory import Memory
from omi.state.owner import STACK_ID, Owner
from omi.support.errors import StateError

_TRIES = 10
_PAUSE = 0.2
"""Seconds before the next try: a checkpoint is written within a few milliseconds."""
_BEING_WRITTEN = "failed to load checkpoint"
"""The engine's words for a checkpoint that it could not read (pkg/backend/diy/state.go, getSnapshot)."""


def stack_resources() -> Mapping[str, Mapping[str, Any]]:
    """Every resource of this stack as last stored: URN to `type` and `outputs`; empty on a fresh stack.

    The engine's built-in invoke serves the program's own stack in preview and update alike. An update writes the
    checkpoint while this reads it. On a file backend its content is replaced as a whole, but the attributes beside it
    (`.attrs`) are not, and a read in between fails: it is tried again. StateError where it fails for good.
    """
    name = f"{pulumi.get_organization()}/{pulumi.get_project()}/{pulumi.get_stack()}"
    result = _read(name)
    resources: Mapping[str, Mapping[str, Any]] = (result.value or {}).get("outputs", {})
    return resources


def keep_stack_id(owner: Owner) -> pulumi.Resource:
    """Keep the stack's id in its state; what was kept first stays, whatever is given later."""
    return pulumi.Stash(STACK_ID, input=owner.stack_id)


def keep_memory(memory: Memory, after: Sequence[pulumi.Resource]) -> pulumi.Resource:
    """Keep what the next plan is to know in the stack's state, once `after` are no longer protected."""
    return pulumi.Stash(
        MEMORY, input=memory.model_dump(mode="json"), opts=pulumi.ResourceOptions(depends_on=list(after))
    )


def _read(name: str) -> InvokeResult:
    tries = 0
    while True:
        try:
            return pulumi.runtime.invoke("pulumi:pulumi:readStackResourceOutputs", {"stackName": name})
        except Exception as error:  # the SDK has no type of its own for what the engine answers
            tries += 1
            if _BEING_WRITTEN not in str(error) or tries == _TRIES:
                cure = "nothing was changed; see whether `pulumi stack export` can read it"
                raise StateError(f"the state of stack {name} cannot be read: {error}; {cure}") from error
            time.sleep(_PAUSE)
