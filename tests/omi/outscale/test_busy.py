"""Deleting is tried again only while that may help, for as long as the setting says, and gone counts as done."""

from __future__ import annotations

from collections.abc import Iterable
from types import SimpleNamespace

import pytest

from omi.outscale import busy
from omi.outscale.busy import IN_USE, is_busy, is_gone, remove
from omi.support.errors import CloudError


class Clock:
    """Time that passes only in pauses."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now = 0.0
        own = SimpleNamespace(monotonic=lambda: self.now, sleep=self.sleep)
        monkeypatch.setattr("omi.outscale.busy.time", own)
        monkeypatch.setattr(busy, "EVERY", 2.0)

    def sleep(self, seconds: float) -> None:
        self.now += seconds


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    return Clock(monkeypatch)


class Thing:
    """Answers to deletes, one after the other: a code that refuses, or None; the last one for ever."""

    def __init__(self, answers: Iterable[str | None]) -> None:
        self.answers, self.calls = list(answers), 0

    def delete(self) -> None:
        code = self.answers[min(self.calls, len(self.answers) - 1)]
        self.calls += 1
        if code is not None:
            raise CloudError("refused", code)


@pytest.mark.parametrize(
    ("answers", "done", "calls"),
    [
        ([None], True, 1),
        (["5054"], False, 1),
        (["9002", None], True, 2),
        (["9002", "5054"], True, 2),
        (["", "6001", IN_USE, None], True, 4),
    ],
    ids=["at once", "gone", "busy", "busy, then gone", "several reasons"],
)
def test_it_is_done_once_the_thing_is_gone(clock: Clock, answers: list[str | None], done: bool, calls: int) -> None:
    thing = Thing(answers)
    assert remove(thing.delete, 10) is done
    assert (thing.calls, clock.now) == (calls, 2.0 * (calls - 1))


@pytest.mark.parametrize("code", ["4045", "8", "90020", "AccessDenied", "2000"])
def test_what_trying_again_cannot_help_is_raised_at_once(clock: Clock, code: str) -> None:
    thing = Thing([code])
    with pytest.raises(CloudError, match=r"^refused$"):
        remove(thing.delete, 10)
    assert (thing.calls, clock.now) == (1, 0.0)


def test_it_ends_at_the_limit_with_the_reason_and_tells_once_that_it_waits(
    clock: Clock, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(busy, "QUIET", 3.0)
    with pytest.raises(CloudError, match=r"refused, still so after 10 s \(cloud\.limits\.in_use\)") as raised:
        remove(Thing(["9002"]).delete, 10)
    assert (raised.value.code, clock.now) == ("9002", 10.0)
    assert capsys.readouterr().err == "refused: trying again, at most 10 s (cloud.limits.in_use)\n"


def test_a_short_wait_is_not_told(clock: Clock, capsys: pytest.CaptureFixture[str]) -> None:
    assert remove(Thing(["9002", None]).delete, 10)
    assert clock.now == 2.0
    assert capsys.readouterr().err == ""


def test_codes_are_outscales() -> None:
    gone = {code for code in map(str, range(10000)) if is_gone(CloudError("", code))}
    assert gone == {"5020", "5021", "5022", "5023", "5054", "5063", "5064", "5071"}
    again = {code for code in map(str, range(100000)) if is_busy(CloudError("", code))}
    assert again == {str(number) for number in (*range(6000, 7000), *range(9000, 10000))}
    assert is_busy(CloudError(""))
    assert is_busy(CloudError("", IN_USE))
