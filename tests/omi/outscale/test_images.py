"""An OMI is found by what it is, even where the cloud ignores a filter and lists other accounts' things, too."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import Any

import pytest

from omi.outscale.client import Cloud
from omi.outscale.images import (
    Ours,
    complete_tags,
    create_omi,
    delete_omi,
    deregister,
    find_own,
    find_source,
    is_name_taken,
    own_omis,
    put_tags,
    read_omi,
    read_snapshots,
    require_ours,
    snapshots_of,
    wait_available,
)
from omi.outscale.shapes import Omi
from omi.outscale.waiting import InterruptedBuildError
from omi.state.image import CloudAccess
from omi.state.owner import GOING, going_mark
from omi.support.errors import CloudError
from tests.omi.specs import OWNER

MINE, THEIRS = "123456789012", "210987654321"
OMIS: list[dict[str, Any]] = [
    {"ImageId": "ami-theirs", "ImageName": "wanted", "AccountId": THEIRS},
    {"ImageId": "ami-other", "ImageName": "wanted-2", "AccountId": MINE},
    {"ImageId": "ami-mine", "ImageName": "wanted", "AccountId": MINE, "Tags": [{"Key": "a", "Value": "1"}]},
]
SNAPSHOTS: list[dict[str, Any]] = [
    {"SnapshotId": f"snap-{owner}-{volume}", "AccountId": owner, "VolumeId": volume}
    for owner in (THEIRS, MINE)
    for volume in ("vol-1", "vol-2")
]


@pytest.fixture
def cloud(access: CloudAccess, monkeypatch: pytest.MonkeyPatch) -> Cloud:
    """One that lists everything, whatever it is asked for."""

    def read_all(_: Cloud, action: str, *__: Any) -> Iterator[dict[str, Any]]:
        yield from OMIS if action == "ReadImages" else SNAPSHOTS

    monkeypatch.setattr(Cloud, "read_all", read_all)
    monkeypatch.setattr(Cloud, "account", MINE)
    return Cloud.connect(access)


def test_the_own_omi_of_a_name_is_neither_anothers_nor_one_of_another_name(cloud: Cloud) -> None:
    found = find_own(cloud, "wanted")
    assert found is not None
    assert found.omi_id == "ami-mine"
    assert find_own(cloud, "want") is None


def test_a_name_is_taken_by_whoever_has_it(cloud: Cloud) -> None:
    assert [is_name_taken(cloud, name) for name in ("wanted", "wanted-2", "want")] == [True, True, False]


@pytest.mark.parametrize("owner", [THEIRS, "Outscale"])
def test_a_source_is_its_owners_newest_available_omi_of_a_fitting_name(
    cloud: Cloud, monkeypatch: pytest.MonkeyPatch, owner: str
) -> None:
    good = {"AccountId": THEIRS, "AccountAlias": "Outscale", "State": "available"}
    known = {
        "ami-older": good | {"ImageName": "Debian-12-2026-01-01", "CreationDate": "2026-01-01T00:00:00.000Z"},
        "ami-newest": good | {"ImageName": "Debian-12-2026-02-01", "CreationDate": "2026-02-01T00:00:00.000Z"},
    }
    newer = known["ami-newest"] | {"CreationDate": "2026-03-01T00:00:00.000Z"}
    known["ami-pending"] = newer | {"State": "pending"}
    known["ami-13"] = newer | {"ImageName": "Debian-13-2026-03-01"}
    known["ami-mine"] = newer | {"AccountId": MINE, "AccountAlias": ""}
    monkeypatch.setattr(Cloud, "read_all", lambda *_: iter([{"ImageId": key, **omi} for key, omi in known.items()]))
    assert find_source(cloud, "Debian-12-*", owner).omi_id == "ami-newest"


def test_an_omi_is_read_by_its_id_alone(cloud: Cloud) -> None:
    found = read_omi(cloud, "ami-other")
    assert found is not None
    assert found.omi_id == "ami-other"
    assert read_omi(cloud, "ami-none") is None


def test_the_accounts_own_omis_bear_all_of_the_tags(cloud: Cloud) -> None:
    assert [omi.omi_id for omi in own_omis(cloud, {})] == ["ami-other", "ami-mine"]
    assert [omi.omi_id for omi in own_omis(cloud, {"a": "1"})] == ["ami-mine"]


def test_snapshots_are_those_asked_for(cloud: Cloud) -> None:
    assert [each.snapshot_id for each in snapshots_of(cloud, ["vol-1"])] == [f"snap-{MINE}-vol-1"]
    assert [each.snapshot_id for each in read_snapshots(cloud, [f"snap-{MINE}-vol-2"])] == [f"snap-{MINE}-vol-2"]


def test_an_omi_is_ours_by_account_and_by_tags_or_mark(cloud: Cloud) -> None:
    tags = _tags(stack_id=OWNER.stack_id, build_id="b-1")
    ours = Ours(OWNER.proof, "b-1")

    def omi(**values: Any) -> Omi:
        return Omi.model_validate({"ImageId": "ami-1", "AccountId": MINE, **values})

    require_ours(cloud, omi(Tags=tags), ours)
    require_ours(cloud, omi(Description="half-made (b-1)"), ours)
    require_ours(cloud, omi(Description="half-made (b-1)", Tags=_tags(owner="somebody")), ours)
    require_ours(cloud, omi(Description="half-made (b-1)", Tags=tags[:1]), ours)
    require_ours(cloud, omi(Tags=tags[:1]), Ours(OWNER.proof))
    for foreign in (omi(Tags=tags, AccountId=THEIRS), omi(Description="(b-1)", AccountId=THEIRS)):
        with pytest.raises(CloudError, match=f"belongs to account {THEIRS}"):
            require_ours(cloud, foreign, ours)
    for foreign in (omi(), omi(Description="(b-2)"), omi(Tags=tags[:1]), omi(Tags=tags[1:])):
        with pytest.raises(CloudError, match="does not carry the tags"):
            require_ours(cloud, foreign, ours)
    others = _tags(stack_id="another", build_id="b-1")
    for foreign in (omi(Tags=others), omi(Description="(b-1)", Tags=others)):
        with pytest.raises(CloudError, match="does not carry the tags"):
            require_ours(cloud, foreign, ours)
    with pytest.raises(CloudError, match="does not carry the tags"):
        require_ours(cloud, omi(Description="b-1"), Ours(OWNER.proof))


@pytest.mark.parametrize(("state", "said"), [("failed", "ami-mine is failed instead of"), (None, "is gone instead of")])
def test_an_omi_that_fails_or_vanishes_is_not_waited_for(
    cloud: Cloud, monkeypatch: pytest.MonkeyPatch, state: str | None, said: str
) -> None:
    seen = Omi.model_validate({"ImageId": "ami-mine", "State": state}) if state else None
    monkeypatch.setattr("omi.outscale.images.read_omi", lambda *_: seen)
    with pytest.raises(CloudError, match=said):
        wait_available(cloud, "ami-mine")


@pytest.mark.parametrize("answer", [None, {}, {"ImageId": 7}])
def test_a_new_omi_without_an_id_is_named_in_one_line(
    cloud: Cloud, monkeypatch: pytest.MonkeyPatch, answer: object
) -> None:
    monkeypatch.setattr(Cloud, "create", lambda self, action, wanted, read, found: read({"Image": answer}))
    with pytest.raises(CloudError, match="CreateImage: its answer names no OMI; run again"):
        create_omi(cloud, {}, "name", "description", ["uefi"])


def test_who_waits_for_an_omi_stops_when_the_build_does(cloud: Cloud, monkeypatch: pytest.MonkeyPatch) -> None:
    pending, stop = Omi.model_validate({"ImageId": "ami-mine", "State": "pending"}), threading.Event()
    monkeypatch.setattr("omi.outscale.images.read_omi", lambda *_: pending)
    stop.set()
    with pytest.raises(InterruptedBuildError):
        wait_available(cloud, "ami-mine", stop, limit=5)


def test_tags_are_put_only_on_what_lacks_some(cloud: Cloud, monkeypatch: pytest.MonkeyPatch) -> None:
    put: list[Any] = []
    monkeypatch.setattr("omi.outscale.images.put_tags", lambda _, ids, tags: put.append((tuple(ids), tags)))
    devices = [{"Bsu": {"SnapshotId": each["SnapshotId"]}} for each in SNAPSHOTS[2:]]
    tagged = Omi.model_validate({**OMIS[2], "BlockDeviceMappings": devices})
    plain = Omi.model_validate({**OMIS[1], "BlockDeviceMappings": []})
    lacking = tuple(each["SnapshotId"] for each in SNAPSHOTS[2:])
    assert complete_tags(cloud, tagged, {"a": "1"}) == lacking
    assert complete_tags(cloud, plain, {"a": "1"}) == ("ami-other",)
    assert put == [(lacking, {"a": "1"}), (("ami-other",), {"a": "1"})]


def test_without_tags_or_anything_to_tag_nothing_is_called(cloud: Cloud, monkeypatch: pytest.MonkeyPatch) -> None:
    called: list[Any] = []
    monkeypatch.setattr(Cloud, "call", lambda _, action, parameters: called.append((action, parameters)))
    put_tags(cloud, [], {"a": "1"})
    put_tags(cloud, ["ami-mine"], {})
    assert called == []
    put_tags(cloud, ["ami-mine"], {"a": "1"})
    assert called == [("CreateTags", {"ResourceIds": ["ami-mine"], "Tags": [{"Key": "a", "Value": "1"}]})]


def test_another_accounts_snapshot_is_neither_tagged_nor_deleted(cloud: Cloud, monkeypatch: pytest.MonkeyPatch) -> None:
    """It was shared with this account, which made an OMI of it and put its tags on."""
    done: list[Any] = []
    monkeypatch.setattr(Cloud, "call", lambda _, action, given: done.append((action, *map(str, given.values()))))
    theirs, mine = f"snap-{THEIRS}-vol-1", f"snap-{MINE}-vol-1"
    tags = [{"Key": "stack-id", "Value": OWNER.stack_id}]
    devices = [{"Bsu": {"SnapshotId": each}} for each in (theirs, mine)]
    omi = Omi.model_validate({**OMIS[2], "Tags": tags, "BlockDeviceMappings": devices, "State": "available"})
    said: list[str] = []
    delete_omi(cloud, omi, (), Ours(OWNER.proof), said.append)
    assert [each[0] for each in done] == ["CreateTags", "DeleteImage", "DeleteSnapshot"]
    assert not [each for each in done if theirs in "".join(each)]
    assert f"left snapshot {theirs}: it does not carry the tags of this stack" in said


def _tags(**values: str) -> list[dict[str, str]]:
    return [{"Key": key.replace("_", "-"), "Value": value} for key, value in values.items()]


@pytest.mark.parametrize("is_gone", [False, True])
def test_each_snapshot_stays_or_goes_for_its_own_reason(
    cloud: Cloud, monkeypatch: pytest.MonkeyPatch, is_gone: bool
) -> None:
    """Near misses side by side: `is_gone` is whether the OMI was deregistered before."""
    proof = {"stack_id": OWNER.stack_id}

    def marked(name: str) -> list[dict[str, str]]:
        return _tags(**proof, **{GOING: going_mark(OWNER.stack_id, name)})

    snapshots: dict[str, dict[str, Any]] = {
        "snap-root": {"Tags": []},
        "snap-recorded": {"Tags": marked("snap-going")},  # a copied mark proves nothing
        "snap-going": {"Tags": marked("snap-going")},
        "snap-untagged": {"Tags": []},
        "snap-theirs": {"Tags": marked("snap-theirs"), "AccountId": THEIRS},
        "snap-shared": {"Tags": marked("snap-shared")},
        "snap-held": {"Tags": marked("snap-held")},
    }
    own = {**OMIS[2], "State": "available", "Tags": _tags(**proof)}
    own["BlockDeviceMappings"] = [{"Bsu": {"SnapshotId": each}} for each in ("snap-root", "snap-shared")]
    other = {**OMIS[1], "BlockDeviceMappings": [{"Bsu": {"SnapshotId": "snap-shared"}}]}
    listing = {
        "ReadImages": [other] if is_gone else [own, other],
        "ReadSnapshots": [{"SnapshotId": key, "AccountId": MINE, **each} for key, each in snapshots.items()],
    }
    monkeypatch.setattr(Cloud, "read_all", lambda _, action, *__: iter(listing[action]))
    done: list[tuple[str, str]] = []
    monkeypatch.setattr(Cloud, "call", lambda _, action, given: done.append((action, str(next(iter(given.values()))))))
    said: list[str] = []
    omi = None if is_gone else Omi.model_validate(own)
    delete_omi(cloud, omi, tuple(snapshots), Ours(OWNER.proof), said.append, spare=("snap-held",))
    deleted = {what for action, what in done if action == "DeleteSnapshot"}
    assert deleted == ({"snap-going"} if is_gone else {"snap-root", "snap-recorded", "snap-going"})
    tagged = {what for action, what in done if action == "CreateTags"}
    assert tagged == (set() if is_gone else {f"['{each}']" for each in deleted})
    assert [what for action, what in done if action == "DeleteImage"] == ([] if is_gone else ["ami-mine"])
    if not is_gone:
        order = [action for action, _ in done]
        assert order.index("DeleteImage") == len(tagged), "the marks come first"
    why = {line.split()[2].rstrip(":"): line.partition(": ")[2] for line in said if line.startswith("left snapshot ")}
    foreign, known = "it does not carry the tags of this stack", "its OMI was not deregistered here"
    expected = {"snap-untagged": foreign, "snap-theirs": foreign, "snap-held": "it is held by state"}
    expected |= {"snap-shared": "ami-other is made of it, too"}
    expected |= {"snap-root": foreign, "snap-recorded": f"{known}; delete it if nobody wants it"} if is_gone else {}
    assert why == expected


@pytest.mark.parametrize("foreign", [{"AccountId": THEIRS}, {"Tags": []}], ids=["another account's", "no tags"])
def test_what_is_not_proved_to_be_ours_is_not_deregistered(
    cloud: Cloud, monkeypatch: pytest.MonkeyPatch, foreign: dict[str, Any]
) -> None:
    monkeypatch.setattr(Cloud, "call", lambda *_: pytest.fail("nothing may be called"))
    with pytest.raises(CloudError, match="it is not deregistered"):
        deregister(cloud, Omi.model_validate({**OMIS[2], "State": "available", **foreign}), Ours({"a": "1"}))


@pytest.mark.parametrize("then", ["available", "failed", None])
def test_a_pending_omi_is_deregistered_once_it_is_settled(
    cloud: Cloud, monkeypatch: pytest.MonkeyPatch, then: str | None
) -> None:
    pending = Omi.model_validate({**OMIS[2], "State": "pending"})
    settled = pending.model_copy(update={"state": then}) if then else None
    seen, deleted = [pending, pending, settled], list[int]()
    monkeypatch.setattr("omi.outscale.images.read_omi", lambda *_: seen.pop(0))
    monkeypatch.setattr("omi.outscale.images.remove", lambda *_: deleted.append(len(seen)))
    monkeypatch.setattr("omi.outscale.waiting.pause", lambda *_: None)
    deregister(cloud, pending, Ours({"a": "1"}))
    assert deleted == [0], "not before all three were read"
