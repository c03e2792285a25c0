"""The instance's key may come after SSH has opened: the login waits for it, for a while."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import chain, repeat
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from omi.outscale.waiting import InterruptedBuildError
from omi.support.errors import VerifyError
from omi.support.narration import narrated
from omi.verify.boot import Verification
from omi.verify.facts import Facts
from omi.verify.ssh import Answer, Door

REFUSED = Answer(255, "", "alpine@vm: Permission denied (publickey).")
SETTLE = 90


@dataclass(frozen=True)
class GuardedDoor(Door):
    """Gives these answers in turn, the last one for ever."""

    answers: Iterator[Answer]

    def _ssh(self, arguments: Sequence[str], text: str, limit: float) -> Answer:
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
    monkeypatch.setattr("omi.outscale.waiting.pause", clock.pause)
    monkeypatch.setattr("omi.outscale.waiting.time", SimpleNamespace(monotonic=lambda: clock.now))
    return clock


def verification(said: list[str]) -> Verification:
    return Verification(
        cloud=cast("Any", SimpleNamespace(limits=SimpleNamespace(command=120, settle=SETTLE))),
        identity=cast("Any", None),
        group_id="sg-1",
        finished=None,
        folder=Path(),
        narrator=cast("Any", SimpleNamespace(say=said.append, note=lambda line: None)),
        stop=threading.Event(),
        tests={},
    )


GIVEN = Facts.parse("become=doas\nroot_key=yes")


def door(*answers: Answer) -> GuardedDoor:
    return GuardedDoor("vm", 22, "alpine", Path("key"), chain(answers, repeat(answers[-1])))


def log_in(*answers: Answer, said: list[str] | None = None) -> Facts:
    made = verification([] if said is None else said)
    with narrated(made.narrator):
        return made.probe(door(*answers), "echo end=yes\n")


def test_a_key_that_comes_late_is_waited_for(clock: Clock) -> None:
    said: list[str] = []
    facts = log_in(*[REFUSED] * 9, Answer(0, "end=yes\n", ""), said=said)
    assert facts.one("end") == "yes"
    assert said == ["waiting for a login by SSH, at most 90 s (cloud.limits.settle)"]
    assert clock.now > 9 * 5, "sshd shuts out who fails more often than every 5 s"


def test_a_key_that_never_comes_fails_the_image_with_the_limit_and_ssh_s_words(clock: Clock) -> None:
    with pytest.raises(
        VerifyError, match=r"Permission denied \(publickey\)\. \(tried for 90 s, cloud\.limits\.settle\)"
    ):
        log_in(REFUSED)
    assert SETTLE <= clock.now <= SETTLE + 6


def test_an_interrupted_build_waits_no_longer(clock: Clock) -> None:
    clock.stop_at = 12
    with pytest.raises(InterruptedBuildError):
        log_in(REFUSED)


def test_a_refusal_counts_though_a_connection_failed_before_it(clock: Clock) -> None:
    failed = Answer(255, "", "kex_exchange_identification: Connection reset by peer")
    assert verification([])._refusals(door(failed, REFUSED, failed, REFUSED), GIVEN) == []
    assert clock.now == pytest.approx(12)


@pytest.mark.parametrize(
    ("facts", "failed"),
    [("become=doas", 1), ("become=doas\nroot_key=no", 1), ("become=doas\nroot_key=yes", 0), ("become=nobody", 0)],
)
def test_a_refusal_of_root_counts_only_if_root_had_a_key(clock: Clock, facts: str, failed: int) -> None:
    said = verification([])._refusals(door(REFUSED), Facts.parse(facts))
    assert len(said) == failed
    assert said == [] or "root could not be given a key, so that proves nothing" in said[0]


def test_a_login_that_is_let_in_fails_the_image() -> None:
    let_in = Answer(1, "This account is not available\n", "")
    assert verification([])._refusals(door(let_in), GIVEN) == [
        "a login without a key was not refused",
        "a login as root was not refused",
    ]


def test_a_refusal_that_nobody_saw_is_no_refusal(clock: Clock) -> None:
    with pytest.raises(VerifyError, match="the login of alpine was neither taken nor refused: no end after 120 s"):
        verification([])._refusals(door(Answer(255, "", "no end after 120 s")), GIVEN)
