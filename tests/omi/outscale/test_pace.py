"""Requests queue up once the cloud has said that it is asked too often, over all processes that use the key."""

from __future__ import annotations

from pathlib import Path

import pytest

from omi.outscale.client import Cloud
from omi.outscale.images import find_own
from omi.outscale.pace import CALM, EACH_SECOND, Pace
from omi.state.image import CloudAccess
from tests.sandbox.client import Sandbox


class Clock:
    """Time that passes only while somebody waits."""

    def __init__(self) -> None:
        self.now = 1_000_000.0
        self.waited: list[float] = []

    def __call__(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.waited.append(round(seconds, 3))


@pytest.fixture
def clock() -> Clock:
    return Clock()


def pace(tmp_path: Path, clock: Clock) -> Pace:
    return Pace(tmp_path / "pace" / "key", clock, clock.sleep)


def test_nobody_waits_while_the_cloud_does_not_complain(tmp_path: Path, clock: Clock) -> None:
    for _ in range(100):
        pace(tmp_path, clock).wait()
    assert clock.waited == []
    assert list(tmp_path.iterdir()) == []


def test_after_a_refusal_all_queue_up_whichever_process_they_are_of(tmp_path: Path, clock: Clock) -> None:
    one, other = pace(tmp_path, clock), pace(tmp_path, clock)
    one.slow_down()
    for asking in (one, other, one):
        asking.wait()
    other.slow_down()  # a second refusal doesn't let anybody jump the queue
    one.wait()
    assert clock.waited == [1.0, 1 + 1 / EACH_SECOND, 1 + 2 / EACH_SECOND, 1 + 3 / EACH_SECOND]


def test_after_a_while_without_a_refusal_nobody_waits_any_more(tmp_path: Path, clock: Clock) -> None:
    pace(tmp_path, clock).slow_down()
    clock.now += CALM + 0.1
    pace(tmp_path, clock).wait()
    assert clock.waited == []


@pytest.mark.parametrize("text", ["", "nonsense", "1e400 0", "9e9 9e9", "1000030 9e9"])
def test_what_a_changed_clock_or_another_hand_wrote_holds_nobody_up(tmp_path: Path, clock: Clock, text: str) -> None:
    (tmp_path / "pace").mkdir()
    (tmp_path / "pace" / "key").write_text(text)
    pace(tmp_path, clock).wait()
    assert sum(clock.waited) == 0


def test_where_its_file_cannot_be_nobody_waits(tmp_path: Path, clock: Clock) -> None:
    (tmp_path / "pace").write_text("")
    pace(tmp_path, clock).slow_down()
    pace(tmp_path, clock).wait()
    assert clock.waited == []


def test_the_clouds_refusal_is_heeded(
    sandbox: Sandbox, access: CloudAccess, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ALPINE_OMI_CACHE", str(tmp_path / "cache"))
    cloud = Cloud.connect(access)
    monkeypatch.setattr(cloud, "pace", Pace(tmp_path / "pace" / "key", sleep=lambda _: None))
    find_own(cloud, "any")
    assert not (tmp_path / "pace").exists()
    sandbox.control("POST", "faults", {"action": "*", "face": "oapi", "status": 429})
    find_own(cloud, "any")
    assert (tmp_path / "pace" / "key").exists()
