"""The instance's key may come after SSH has opened: the login waits for it, for a while."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from omi.outscale.waiting import InterruptedBuildError
from omi.support.errors import VerifyError
from omi.verify.boot import Verification
from omi.verify.facts import Facts
from omi.verify.ssh import Answer, Door

REFUSED = Answer(255, "", "alpine@vm: Permission denied (publickey).")
SETTLE = 90


@dataclass(frozen=True)
class GuardedDoor(Door):
    """Gives these answers in turn, the last one for ever."""

    answers: Iterator[Answer]

    def run(self, script: str, limit: float) -> Answer:
        assert script.startswith(f"SETTLE={SETTLE}\n")
        return next(self.answers)


@dataclass
class Clock:
    """The time as the code under test sees it; a pause takes no time of the test's."""

    now: float = 0.0
    stop_at: float = float("inf")

    def pause(self, seconds: float, _stop: threading.Event) -> None:
        self.now += seconds
        if self.now >= self.stop_at:
            raise InterruptedBuildError("interrupted")


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr("omi.verify.boot.pause", clock.pause)
    monkeypatch.setattr("omi.verify.boot.time", SimpleNamespace(monotonic=lambda: clock.now))
    return clock


def log_in(*answers: Answer, said: list[str] | None = None) -> Facts:
    verification = Verification(
        cloud=cast("Any", SimpleNamespace(limits=SimpleNamespace(command=120, settle=SETTLE))),
        identity=cast("Any", None),
        group_id="sg-1",
        finished=None,
        folder=Path(),
        say=(said if said is not None else []).append,
        show=lambda lines: None,
        note=lambda line: None,
        stop=threading.Event(),
        tests={},
    )

    def forever() -> Iterator[Answer]:
        yield from answers
        while True:
            yield answers[-1]

    return verification.probe(GuardedDoor("vm", 22, "alpine", Path("key"), Path("known"), forever()), "echo end=yes\n")


def test_a_key_that_comes_late_is_waited_for(clock: Clock) -> None:
    said: list[str] = []
    facts = log_in(*[REFUSED] * 9, Answer(0, "end=yes\n", ""), said=said)
    assert facts.one("end") == "yes"
    assert said == ["waiting for the instance's key, at most 90 s (cloud.limits.settle)"]
    assert clock.now > 9 * 5, "sshd shuts out who fails more often than every 5 s"


def test_a_key_that_never_comes_fails_the_image_with_the_limit_and_ssh_s_words(clock: Clock) -> None:
    with pytest.raises(VerifyError, match=r"within 90 s \(cloud\.limits\.settle\): .*Permission denied"):
        log_in(REFUSED)
    assert SETTLE <= clock.now <= SETTLE + 6


def test_an_interrupted_build_waits_no_longer(clock: Clock) -> None:
    clock.stop_at = 12
    with pytest.raises(InterruptedBuildError):
        log_in(REFUSED)
