"""A stack's state: its images, its id, its Regions and the plan's memory."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from pydantic import Json, TypeAdapter, ValidationError

from omi.config.regions import KnownRegion
from omi.plan.memory import Memory
from omi.state.ledger import Ledger, read_ledger
from omi.state.owner import STACK_ID, Owner
from omi.support.errors import SettingsError, StateError

STASH_TYPE = "pulumi:index:Stash"
MEMORY = "memory"
"""Name of the resource that keeps the plan's memory."""
REGIONS = "regions"
"""Name of the resource that keeps the Regions in which something was made or held."""
_REGIONS = TypeAdapter(dict[str, Json[KnownRegion]])


@dataclass(frozen=True)
class Held:
    """The whole state; a fresh stack has a new id and nothing else."""

    owner: Owner
    ledger: Ledger = field(default_factory=Ledger)
    memory: Memory = field(default_factory=Memory)
    is_fresh: bool = False
    """Whether the state has no id yet."""
    known: Mapping[str, KnownRegion] = field(default_factory=dict)
    """The Regions in which something was made or held, by name."""


def read_state(
    resources: Mapping[str, Mapping[str, Any]], project: str, stack: str, recovered: str | None = None
) -> Held:
    """Read the state's resources (URN to `type` and `outputs`). A state without an id takes the `recovered` one.

    Raises StateError if a part can't be read, SettingsError if the state has another id than the recovered one.
    """
    ledger = read_ledger(resources)
    known = _known_id(resources, ledger)
    if known and recovered and known != recovered:
        raise SettingsError(
            f"stack config: recover.stack_id: {recovered} is asked for, but this state is of the stack id {known}: "
            "`pulumi config rm recover`, or recover in an empty state (docs/recovery.md)"
        )
    stack_id = known or recovered
    owner = Owner(project, stack, stack_id) if stack_id else Owner(project, stack)
    return Held(owner, ledger, _memory(resources), is_fresh=known is None, known=_known_regions(resources))


def _known_id(resources: Mapping[str, Mapping[str, Any]], ledger: Ledger) -> str | None:
    """The state's id; if that is lost, the images' one."""
    kept = _stashed(resources, STACK_ID, "output")
    if isinstance(kept, str) and kept:
        return kept
    if kept is not None:
        raise StateError(f"stack state, {STACK_ID}: {kept!r} is not an id; bring back an earlier state")
    ids = sorted({image.spec.stack_id for image in ledger.images})
    if len(ids) > 1:
        raise StateError(
            f"stack state: {STACK_ID} is missing, and the images are of several stacks ({', '.join(ids)}); "
            "bring back an earlier state by `pulumi stack import`"
        )
    return ids[0] if ids else None


def _memory(resources: Mapping[str, Mapping[str, Any]]) -> Memory:
    kept = _stashed(resources, MEMORY, "input")
    try:
        return Memory() if kept is None else Memory.model_validate(kept)
    except ValidationError as error:
        cure = "take it out with `pulumi state delete`: the next update writes it anew"
        raise StateError(f"stack state, {MEMORY}: cannot be read: {error.errors()[0]['msg']}; {cure}") from error


def _known_regions(resources: Mapping[str, Mapping[str, Any]]) -> Mapping[str, KnownRegion]:
    try:
        return _REGIONS.validate_python(_stashed(resources, REGIONS, "input") or {})
    except ValidationError as error:
        cure = "use the version that wrote it, or bring back an earlier state by `pulumi stack import`"
        raise StateError(f"stack state, {REGIONS}: cannot be read: {error.errors()[0]['msg']}; {cure}") from error


def _stashed(resources: Mapping[str, Mapping[str, Any]], name: str, key: str) -> object:
    """A stash's first value (`output`) or its newest (`input`)."""
    for urn, resource in resources.items():
        if resource.get("type") == STASH_TYPE and urn.rpartition("::")[2] == name:
            return (resource.get("outputs") or {}).get(key)
    return None
