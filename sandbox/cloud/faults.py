"""Faults that a test sets: refused, cut, slow or half-done calls, and resources that get into or stay in a state."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable, Iterable, Set
from dataclasses import dataclass
from typing import Literal

from pydantic import BaseModel, ConfigDict, model_validator

STATES = {
    "vm": {"pending", "running", "stopping", "shutting-down", "quarantine", "terminated"},
    "volume": {"creating", "error"},
    "snapshot": {"in-queue", "pending", "error"},
    "image": {"pending", "failed"},
    "export": {"pending/queued", "pending", "failed", "cancelled"},
    "ssh": {"closed", "silent"},
    "metadata": {"no-key", "late"},
}


@dataclass(frozen=True)
class Whose:
    """The owner of a call or resource: the account's profile (none for foreign accounts) and Region."""

    profile: str | None = None
    region: str | None = None


class Fault(BaseModel):
    """One fault: either for calls (`action`) or for resources (`resource` and `state`).

    It strikes what is of the account `profile` and the Region `region`, where these are given. `skip` calls or
    resources pass first; the fault then strikes `times` times (-1: for ever).

    `action` is the name of an action of OAPI (`face` oapi) or S3 (oos), or `*`.
    `delay` seconds are waited first. Then, before the call does anything or, with `after`, when it has done its work:
    `status` answers so (with `code`, `type`, `details`), `body` answers this text with HTTP 200, `cut` closes the
    connection without an answer, `hang` keeps it open without one until the faults are changed. Without any of them
    the call is only slow. With `omit` its answer lacks what bears these ids; it strikes answers that would have it.

    A `resource` that would next leave a state or become what it should goes to `state` instead: a VM in `pending`
    does not run, `quarantine` instead of running, `stopping` does not stop; an image `failed`; a snapshot `error` or
    `pending`. What is stuck goes on when the faults are replaced or removed. Of a VM that starts, `ssh` is `closed`
    (nothing listens) or `silent` (a connection stays open, nobody answers), and its `metadata` lack the key
    (`no-key`) or get it `late`, after `delay` seconds.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    action: str | None = None
    face: Literal["oapi", "oos"] | None = None
    status: int | None = None
    code: str | None = None
    type: str | None = None
    details: str = "a fault that was asked for"
    body: str | None = None
    cut: bool = False
    hang: bool = False
    after: bool = False
    omit: tuple[str, ...] = ()
    delay: float = 0.0
    resource: str | None = None
    state: str | None = None
    profile: str | None = None
    region: str | None = None
    skip: int = 0
    times: int = 1

    @model_validator(mode="after")
    def _one_subject(self) -> Fault:
        if (self.action is None) == (self.resource is None):
            raise ValueError("give either action or resource")
        if self.resource is not None and self.state not in STATES.get(self.resource, set()):
            raise ValueError(f"resource is one of {sorted(STATES)}, state one of its {STATES.get(self.resource)}")
        if sum((self.status is not None, self.body is not None, self.cut, self.hang)) > 1:
            raise ValueError("give one of status, body, cut and hang")
        if self.omit and (self.action is None or self.answers or self.delay):
            raise ValueError("omit goes with an action alone")
        return self

    @property
    def answers(self) -> bool:
        """Whether the call's own answer is not sent."""
        return self.status is not None or self.body is not None or self.cut or self.hang

    def concerns(self, whose: Whose) -> bool:
        """Whether it is for this account and Region."""
        return self.profile in (None, whose.profile) and self.region in (None, whose.region)

    def calls(self, action: str, face: str, whose: Whose) -> bool:
        """Whether it is for this call."""
        return self.action in (action, "*") and self.face in (None, face) and self.concerns(whose)


class Faults:
    """The faults in force; every strike is counted."""

    def __init__(self) -> None:
        self._guard = threading.Lock()
        self._faults: list[Fault] = []
        self._stuck: list[tuple[Whose, Callable[[], None]]] = []
        self._changed = threading.Condition(self._guard)
        self._changes: Counter[str | None] = Counter()

    def replace(self, faults: Iterable[Fault], profile: str | None = None) -> None:
        """Replace all faults, or those for one `profile`. Stuck resources go on."""
        with self._guard:
            kept = [each for each in self._faults if profile is not None and each.profile != profile]
            self._faults = [*kept, *faults]
            going = [entry for entry in self._stuck if profile in (None, entry[0].profile)]
            self._stuck = [entry for entry in self._stuck if entry not in going]
            self._changes[profile] += 1
            self._changed.notify_all()
        for _, go_on in going:
            go_on()

    def add(self, faults: Iterable[Fault]) -> None:
        with self._guard:
            self._faults += faults

    def current(self) -> list[Fault]:
        with self._guard:
            return list(self._faults)

    def when_changed(self, whose: Whose, go_on: Callable[[], None]) -> None:
        """Register a function to be called once the faults are replaced or removed."""
        with self._guard:
            self._stuck.append((whose, go_on))

    def wait_changed(self, whose: Whose, limit: float) -> bool:
        """Wait until the faults for these calls are replaced or removed; False after `limit` seconds."""

        def changes() -> int:
            return sum(self._changes[each] for each in {None, whose.profile})

        with self._guard:
            before = changes()
            return self._changed.wait_for(lambda: changes() != before, limit)

    def for_call(self, action: str, face: str = "oapi", whose: Whose = Whose()) -> list[Fault]:
        """The faults that strike this call: those that delay it, and at most one that answers it."""
        struck: list[Fault] = []
        with self._guard:
            for index, fault in enumerate(self._faults):
                if fault.omit or not fault.calls(action, face, whose):
                    continue
                if fault.answers and any(each.answers for each in struck):
                    continue
                if self._strikes(index):
                    struck.append(fault)
        return struck

    def omitted(self, action: str, whose: Whose, held: Callable[[Set[str]], Set[str]]) -> set[str]:
        """The ids that an answer leaves out; `held` finds those of some ids that it would have."""
        lacking: set[str] = set()
        with self._guard:
            for index, fault in enumerate(self._faults):
                if fault.omit and fault.calls(action, "oapi", whose):
                    found = held(set(fault.omit))
                    if found and self._strikes(index):
                        lacking |= found
        return lacking

    def for_state(self, resource: str, states: set[str], whose: Whose = Whose()) -> Fault | None:
        """The fault that sends a resource to one of `states` instead."""
        with self._guard:
            for index, fault in enumerate(self._faults):
                fits = fault.resource == resource and fault.state in states and fault.concerns(whose)
                if fits and self._strikes(index):
                    return fault
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
