"""A dozen of the adversary's cases; all of them are `python -m tests.reliability.adversary`."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.reliability.adversary import BEGIN, DOC, END, Found, problems, table, try_all, try_case
from tests.reliability.cases import CASES, QUICK, Case
from tests.reliability.deeds import PERSON, STATES, STRUCK
from tests.reliability.edits import ONE, TWO
from tests.reliability.ring import Round, ring

SLOW = pytest.mark.slow


def test_every_case_is_there_once_and_does_what_there_is() -> None:
    assert len({case.id for case in CASES}) == len(CASES) >= 60
    assert {*QUICK} <= {case.id for case in CASES}
    assert {case.person for case in CASES} == PERSON.keys()
    assert {case.state for case in CASES} == STATES.keys()
    assert {case.struck for case in CASES} == STRUCK.keys()


def test_the_page_has_the_table_of_these_very_cases() -> None:
    told = DOC.read_text(encoding="utf-8").partition(BEGIN)[2].partition(END)[0].strip()
    assert told == table([Found(case) for case in CASES]), "run python -m tests.reliability.adversary --write"


@SLOW
def test_nothing_is_lost_left_or_harmed(tmp_path: Path) -> None:
    chosen = [case for case in CASES if case.id in QUICK]
    assert problems(try_all(chosen, tmp_path, print)) == ""


@SLOW
def test_a_case_notices_what_is_lost_left_and_harmed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def harm(at: Round) -> None:
        at.oapi.call("DeleteImage", ImageId=at.ids[TWO])
        closed = {"Removals": {"GlobalPermission": True}}
        at.oapi.call("UpdateImage", ImageId=at.ids[ONE], PermissionsToLaunch=closed)
        at.oapi.call("CreateKeypair", KeypairName="left")
        feed = at.project.folder / "releases" / "sandbox" / "alpine.json"
        feed.write_text("{}", encoding="utf-8")
        (theirs,) = [key for key, thing in at.before.items() if thing.get("name") == "packer_5f1e"]
        at.oapi.call("DeleteKeypair", KeypairId=theirs)
        at.pulumi("no-such-command")

    monkeypatch.setitem(PERSON, "preview", harm)
    monkeypatch.setattr("tests.reliability.adversary._settle", lambda *_: None)
    with ring(tmp_path, 1) as where, where.place("w") as place:
        found = try_case(place, Case("preview"))
    assert f"{TWO} is gone" in found.lost
    assert f"{ONE} is no longer public" in found.lost
    assert f"{ONE} is no longer published" in found.lost
    assert [each.split()[0] for each in found.left] == ["keypair"]
    assert [each.split()[-1] for each in found.harmed] == ["gone"]
    assert found.wrong
