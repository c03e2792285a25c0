"""Faults that a test asks for: refused, slow or half-done calls, and resources that end in or stay in a state."""

from __future__ import annotations

import threading
from collections.abc import Iterable

from pydantic import BaseModel, ConfigDict, model_validator

STATES = {
    "vm": {"pending", "running", "stopping", "shutting-down", "quarantine", "terminated"},
    "volume": {"creating", "error"},
    "snapshot": {"in-queue", "pending", "error"},
    "image": {"pending", "failed"},
}


class Fault(BaseModel):
    """One fault: either for calls (`action`) or for resources (`resource` and `state`).

    `action` is an OAPI or FCU action name or `*`. The call is answered with HTTP `status` (and `code`, `type`,
    `details`), before it does anything or, with `after`, when it has done its work; `delay` seconds are waited
    first. Without `status` the call is only slow. `skip` calls pass first; the fault then strikes `times` times
    (-1: for ever).

    A `resource` (vm, volume, snapshot, image) that would next leave a state or become what it should goes to
    `state` instead and stays: a VM in `pending` never runs, `quarantine` instead of running, `stopping` never
    stops; an image `failed`; a snapshot `error` or `pending` for ever.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    action: str | None = None
    status: int | None = None
    code: str | None = None
    type: str | None = None
    details: str = "a fault that was asked for"
    after: bool = False
    delay: float = 0.0
    resource: str | None = None
    state: str | None = None
    skip: int = 0
    times: int = 1

    @model_validator(mode="after")
    def _one_subject(self) -> Fault:
        if (self.action is None) == (self.resource is None):
            raise ValueError("give either action or resource")
        if self.resource is not None and self.state not in STATES.get(self.resource, set()):
            raise ValueError(f"resource is one of {sorted(STATES)}, state one of its {STATES.get(self.resource)}")
        return self


class Faults:
    """The faults in force; every strike is counted."""

    def __init__(self) -> None:
        self._guard = threading.Lock()
        self._faults: list[Fault] = []

    def replace(self, faults: Iterable[Fault]) -> None:
        with self._guard:
            self._faults = list(faults)

    def add(self, faults: Iterable[Fault]) -> None:
        with self._guard:
            self._faults += faults

    def current(self) -> list[Fault]:
        with self._guard:
            return list(self._faults)

    def for_call(self, action: str) -> list[Fault]:
        """The faults that strike this call: those that delay, and at most one that answers."""
        struck: list[Fault] = []
        with self._guard:
            for index, fault in enumerate(self._faults):
                if fault.action not in (action, "*"):
                    continue
                if fault.status is not None and any(each.status is not None for each in struck):
                    continue
                if self._strikes(index):
                    struck.append(fault)
        return struck

    def for_state(self, resource: str, states: set[str]) -> str | None:
        """The state that a resource goes to instead, if a fault names one of `states`."""
        with self._guard:
            for index, fault in enumerate(self._faults):
                if fault.resource == resource and fault.state in states and self._strikes(index):
                    return fault.state
        return None

    def _strikes(self, index: int) -> bool:
        fault = self._faults[index]
        if fault.skip > 0:
            self._faults[index] = fault.model_copy(update={"skip": fault.skip - 1})
            return False
        if fault.times == 0:
            return False
        if fault.times > 0:
            self._faults[index] = fault.model_copy(update={"times": fault.times - 1})
        return True
