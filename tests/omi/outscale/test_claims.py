"""One record holds an OMI: the one whose claim it bears."""

from __future__ import annotations

from datetime import date

import pytest

from omi.outscale.claims import find_held, is_held, take_up
from omi.outscale.client import Cloud
from omi.outscale.images import bearing_tags, read_omi
from omi.outscale.shapes import Omi
from omi.outscale.waiting import NotInTimeError
from omi.support.errors import CloudError, CredentialsError
from tests.omi.specs import make_record
from tests.sandbox.client import Oapi, Sandbox, empty_volume, register, snapshot


def omi(claim: str | None) -> Omi:
    return Omi.model_validate({"ImageId": "ami-1", "Tags": [{"Key": "claim", "Value": claim}] if claim else []})


@pytest.mark.parametrize(
    ("recorded", "borne", "held"),
    [("mine", "mine", True), ("mine", "theirs", False), (None, None, True), (None, "theirs", False)],
)
def test_the_claim_says_who_holds_it(recorded: str | None, borne: str | None, held: bool) -> None:
    assert is_held(omi(borne), make_record(claim=recorded)) is held


def test_a_lost_claim_is_nobodys_proof() -> None:
    with pytest.raises(CloudError, match="lost its tag claim, so it is left as it is"):
        is_held(omi(None), make_record(claim="mine"))


@pytest.fixture
def made(client: Oapi) -> str:
    return register(client, "image", snapshot(client, empty_volume(client)))


def test_taking_up_ends_what_another_record_held(cloud: Cloud, made: str) -> None:
    first, second = (take_up(cloud, Omi.model_validate({"ImageId": made})) for _ in range(2))
    found = read_omi(cloud, made)
    assert found is not None
    assert first != second
    assert found.tags == {"claim": second}
    assert not is_held(found, make_record(claim=first))
    assert is_held(found, make_record(claim=second))


def test_a_claim_counts_once_the_cloud_shows_it(cloud: Cloud, made: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Until then the delete of a replaced record, which comes at once, would find its own claim."""
    stale, seen = Omi.model_validate({"ImageId": made}), list[Omi | None]()

    def late(of: Cloud, omi_id: str) -> Omi | None:
        seen.append((None, stale)[len(seen)] if len(seen) < 2 else read_omi(of, omi_id))
        return seen[-1]

    monkeypatch.setattr("omi.outscale.claims.read_omi", late)
    monkeypatch.setattr("omi.outscale.waiting.pause", lambda *_: None)
    claim = take_up(cloud, stale)
    assert [each.tags if each else None for each in seen] == [None, {}, {"claim": claim}]
    monkeypatch.setattr("omi.outscale.claims.read_omi", lambda *_: stale)
    short = cloud.limits.model_copy(update={"answer": 0})
    monkeypatch.setattr(type(cloud), "limits", short)
    with pytest.raises(NotInTimeError, match=f"waited 0 s for {made} to show its new claim"):
        take_up(cloud, stale)


def test_an_omi_is_missing_only_if_neither_images_nor_tags_show_it(sandbox: Sandbox, cloud: Cloud, made: str) -> None:
    record = make_record(omi=made, account=cloud.account, missing=date(2026, 11, 1))
    found = find_held(cloud, record)
    assert found is not None
    assert found.omi_id == made
    take_up(cloud, found)
    sandbox.control("POST", "faults", {"action": "ReadImages", "omit": [made], "times": 1})
    with pytest.raises(CloudError, match="ReadImages lacks it, but ReadTags shows it; nothing is changed"):
        find_held(cloud, record)
    assert find_held(cloud, record.model_copy(update={"omi": "ami-0123abcd"})) is None
    assert bearing_tags(cloud, [made, "ami-0123abcd"]) == {made}
    assert bearing_tags(cloud, []) == set()


def test_another_accounts_public_omi_of_the_id_is_not_held(sandbox: Sandbox, cloud: Cloud) -> None:
    other = sandbox.oapi("second")
    theirs = register(other, "image", snapshot(other, empty_volume(other)))
    other.call("UpdateImage", ImageId=theirs, PermissionsToLaunch={"Additions": {"GlobalPermission": True}})
    assert read_omi(cloud, theirs) is not None
    assert find_held(cloud, make_record(omi=theirs, account=cloud.account)) is None
    with pytest.raises(CredentialsError, match="belongs to account 999999999999"):
        find_held(cloud, make_record(omi=theirs, account="999999999999"))
