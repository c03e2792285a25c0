"""Who may launch an OMI, really launched; that snapshots stay private; what is said of its stage."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date

import pytest

from omi.outscale.account import read_account
from omi.outscale.client import Cloud
from omi.outscale.images import read_omi
from omi.outscale.publishing import close_snapshots, share, write_stage
from omi.profile.model import Access
from omi.state.identity import MAX_DESCRIPTION, Identity
from omi.state.image import CloudAccess
from omi.state.withdrawal import Withdrawal
from omi.support.errors import CloudError
from tests.omi.specs import OWNER, make_spec
from tests.sandbox.client import Oapi as Client
from tests.sandbox.client import Refused, Sandbox, empty_volume, register, snapshot

WITHDRAWAL = Withdrawal(
    why="end of life", shared=True, deprecated=date(2026, 11, 1), due=date(2026, 11, 1), removal=date(2026, 12, 31)
)


NO_IMAGE = "5023"


@pytest.fixture
def disk(client: Client) -> str:
    return snapshot(client, empty_volume(client))


@pytest.fixture
def omi(client: Client, disk: str) -> str:
    return register(client, "alpine-3.23.6-x86_64-r0", disk)


def shared_with(cloud: Cloud, omi: str) -> frozenset[str]:
    found = read_omi(cloud, omi)
    assert found is not None
    assert found.permissions is not None
    return found.permissions.names(cloud.account)


def may_launch(sandbox: Sandbox, omi: str, profile: str = "second") -> bool:
    client = sandbox.oapi(profile)
    try:
        vm = client.call("CreateVms", ImageId=omi, VmType="tinav5.c1r1p2")["Vms"][0]["VmId"]
    except Refused as refused:
        if refused.code == NO_IMAGE:
            return False
        raise
    client.call("DeleteVms", VmIds=[vm])
    return True


def test_another_account_launches_it_exactly_while_it_may(sandbox: Sandbox, cloud: Cloud, omi: str) -> None:
    friend = sandbox.account_id("second")
    seen = []
    for access in (Access(), Access(accounts=(friend,)), Access(), Access(public=True), Access(accounts=("1" * 12,))):
        share(cloud, omi, access)
        seen.append((may_launch(sandbox, omi), may_launch(sandbox, omi, "main")))
    assert seen == [(False, True), (True, True), (False, True), (True, True), (False, True)]


@pytest.mark.parametrize("refused", [{"status": 400}, {"status": 503, "times": -1}])
@pytest.mark.parametrize("public_before", [True, False])
def test_who_may_launch_it_before_and_after_still_may_when_a_call_fails(
    sandbox: Sandbox, cloud: Cloud, omi: str, refused: dict[str, int], public_before: bool
) -> None:
    some, everyone = Access(accounts=(sandbox.account_id("second"), "1" * 12)), Access(public=True)
    before, after = (everyone, some) if public_before else (some, everyone)
    share(cloud, omi, before)
    for skip in (0, 1):
        sandbox.control("POST", "faults", {"action": "UpdateImage", "skip": skip, **refused})
        with pytest.raises(CloudError, match=f"{omi} could not be (shared with|taken from) "):
            share(cloud, omi, after)
        assert may_launch(sandbox, omi), f"after {skip} calls"
        sandbox.control("DELETE", "faults")
    share(cloud, omi, after)
    assert shared_with(cloud, omi) == after.launchers(cloud.account)


def test_an_account_id_that_the_cloud_refuses_cuts_off_nobody(sandbox: Sandbox, cloud: Cloud, omi: str) -> None:
    friend = sandbox.account_id("second")
    share(cloud, omi, Access(public=True))
    with pytest.raises(CloudError, match=f"{omi} could not be shared with 12, {friend}: "):
        share(cloud, omi, Access(accounts=(friend, "12")))
    assert may_launch(sandbox, omi)


def test_an_account_that_goes_does_not_stay_because_another_is_refused(
    sandbox: Sandbox, cloud: Cloud, omi: str
) -> None:
    share(cloud, omi, Access(accounts=(sandbox.account_id("second"), "1" * 12)))
    with pytest.raises(CloudError, match=f"{omi} could not be shared with 12: "):
        share(cloud, omi, Access(accounts=("1" * 12, "12")))
    assert shared_with(cloud, omi) == {"1" * 12}


def test_an_image_becomes_private_in_one_call(sandbox: Sandbox, cloud: Cloud, omi: str) -> None:
    for access in (Access(public=True), Access(accounts=(sandbox.account_id("second"),))):
        share(cloud, omi, access)
        sandbox.control("POST", "faults", {"action": "UpdateImage", "status": 400, "skip": 1})
        share(cloud, omi, Access())
        sandbox.control("DELETE", "faults")
        assert not may_launch(sandbox, omi)


def test_a_lost_answer_to_the_first_of_two_calls_is_no_failure(sandbox: Sandbox, cloud: Cloud, omi: str) -> None:
    share(cloud, omi, Access(public=True))
    sandbox.control("POST", "faults", {"action": "UpdateImage", "status": 400, "after": True, "times": 1})
    share(cloud, omi, Access(accounts=("1" * 12,)))
    assert shared_with(cloud, omi) == {"1" * 12}


def test_the_own_account_is_not_asked_for(sandbox: Sandbox, cloud: Cloud, omi: str) -> None:
    share(cloud, omi, Access(accounts=(sandbox.account_id("main"),)))
    assert "UpdateImage" not in {call["action"] for call in sandbox.control("GET", "calls")}


def test_an_account_id_that_the_cloud_refuses_is_one_line(cloud: Cloud, omi: str) -> None:
    with pytest.raises(
        CloudError, match=r"could not be shared with 12: .*not an account id.*; see `access`$"
    ) as raised:
        share(cloud, omi, Access(accounts=("12",)))
    assert "\n" not in str(raised.value)


def test_open_snapshots_are_seen_by_a_plan_and_closed(
    sandbox: Sandbox, access: CloudAccess, cloud: Cloud, client: Client, omi: str, disk: str
) -> None:
    friend = sandbox.account_id("second")

    def seen() -> tuple[str, ...]:
        return read_account(Cloud.connect(access), OWNER, (), [disk]).by_omi[omi].open_snapshots

    share(cloud, omi, Access(public=True))
    assert seen() == ()
    for rights in ({"GlobalPermission": True}, {"AccountIds": [friend]}):
        client.call("UpdateSnapshot", SnapshotId=disk, PermissionsToCreateVolume={"Additions": rights})
        assert seen() == (disk,)
        assert close_snapshots(cloud, (disk, "snap-deadbeef")) == (disk,)
        assert (seen(), close_snapshots(cloud, (disk,))) == ((), ())


def test_the_stage_is_said_to_other_accounts_and_unsaid_again(
    sandbox: Sandbox, cloud: Cloud, client: Client, omi: str
) -> None:
    share(cloud, omi, Access(public=True))
    spec = make_spec()

    def said(withdrawal: Withdrawal | None) -> tuple[str, dict[str, str]]:
        found = read_omi(cloud, omi)
        assert found is not None
        write_stage(cloud, found, Identity(spec.model_copy(update={"withdrawal": withdrawal})))
        theirs = sandbox.oapi("second").call("ReadImages", Filters={"ImageIds": [omi]})["Images"][0]
        mine = client.call("ReadImages", Filters={"ImageIds": [omi]})["Images"][0]
        return theirs["Description"], {tag["Key"]: tag["Value"] for tag in mine["Tags"]}

    description, tags = said(WITHDRAWAL)
    assert description.endswith("; deprecated since 2026-11-01 (end of life), to be removed on 2026-12-31")
    assert Identity(spec).build_id in description
    assert tags == {
        "stage": "deprecated",
        "why": "end of life",
        "shared": "true",
        "deprecated": "2026-11-01",
        "due": "2026-11-01",
        "removal": "2026-12-31",
    }
    private = WITHDRAWAL.model_copy(update={"private": date(2026, 12, 1)})
    assert said(private)[1]["stage"] == "private"
    assert said(None) == (Identity(spec).description, {})


def test_a_long_description_makes_room_for_the_stage_and_keeps_its_mark() -> None:
    spec = make_spec()
    identity = Identity(spec.model_copy(update={"description": "x" * 300, "withdrawal": WITHDRAWAL}))
    assert len(identity.description) == MAX_DESCRIPTION
    assert identity.description.endswith(f" ({identity.build_id}); {WITHDRAWAL}")
    assert len(identity.described(verified=True)) == MAX_DESCRIPTION
    assert identity.described(verified=True).endswith(f" ({identity.build_id}, verified); {WITHDRAWAL}")


def calls(sandbox: Sandbox) -> Iterator[str]:
    yield from (call["action"] for call in sandbox.control("GET", "calls"))


def test_what_is_said_already_is_not_said_again(sandbox: Sandbox, cloud: Cloud, omi: str) -> None:
    identity = Identity(make_spec(withdrawal=WITHDRAWAL))
    for _ in range(2):
        found = read_omi(cloud, omi)
        assert found is not None
        write_stage(cloud, found, identity)
    assert [action for action in calls(sandbox) if action in ("CreateTags", "UpdateImage")] == [
        "CreateTags",
        "UpdateImage",
    ]
