"""Reads the stack's own state at the program's start."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from typing import Any

import pulumi
from pulumi.runtime.invoke import InvokeResult

from omi.config.regions import KnownRegion
from omi.plan.held import MEMORY, REGIONS
from omi.plan.memory import Memory
from omi.state.owner import STACK_ID, Owner
from omi.support.errors import StateError

_TRIES = 10
_PAUSE = 0.2
"""Seconds before the next try: a checkpoint is written within a few milliseconds."""
_BEING_WRITTEN = "failed to load checkpoint"
"""The engine's error for a checkpoint that it could not read (pkg/backend/diy/state.go, getSnapshot)."""


def stack_resources() -> Mapping[str, Mapping[str, Any]]:
    """Read every resource of this stack as last stored: URN to `type` and `outputs`; empty on a fresh stack.

    The engine's built-in invoke serves the program's own stack in preview and update alike. An update may write the
    checkpoint meanwhile. A file backend replaces the content as a whole, but not the attributes beside it (`.attrs`),
    so a read in between fails and is tried again. StateError if it fails for good.
    """
    name = f"{pulumi.get_organization()}/{pulumi.get_project()}/{pulumi.get_stack()}"
    result = _read(name)
    resources: Mapping[str, Mapping[str, Any]] = (result.value or {}).get("outputs", {})
    return resources


def keep_stack_id(owner: Owner) -> pulumi.Resource:
    """Keep the stack's id in its state. The first id stays, whatever is given later."""
    return pulumi.Stash(STACK_ID, input=owner.stack_id)


def keep_regions(known: Mapping[str, KnownRegion]) -> pulumi.Resource:
    """Keep the stack's Regions in its state, as the newest plan knows them; each as text, since the engine drops nulls
    and makes whole numbers fractions.
    """
    return pulumi.Stash(REGIONS, input={name: each.model_dump_json() for name, each in known.items()})


def keep_memory(memory: Memory, after: Sequence[pulumi.Resource]) -> pulumi.Resource:
    """Keep the plan's memory in the stack's state, once `after` are no longer protected."""
    kept = memory.model_dump(mode="json", exclude_none=True)
    return pulumi.Stash(MEMORY, input=kept, opts=pulumi.ResourceOptions(depends_on=list(after)))


def _read(name: str) -> InvokeResult:
    tries = 0
    while True:
        try:
            return pulumi.runtime.invoke("pulumi:pulumi:readStackResourceOutputs", {"stackName": name})
        except Exception as error:  # the SDK has no type for the engine's answer
            tries += 1
            if _BEING_WRITTEN not in str(error) or tries == _TRIES:
                cure = "nothing was changed; see whether `pulumi stack export` can read it"
                raise StateError(f"the state of stack {name} cannot be read: {error}; {cure}") from error
            time.sleep(_PAUSE)
