from __future__ import annotations

import re
from typing import Any

import pytest

from omi.outscale import client as client_module
from omi.outscale.account import read_account
from omi.outscale.client import Cloud
from omi.profile.model import Access
from omi.state.identity import Identity
from omi.state.image import CloudAccess
from omi.state.owner import build_id_of
from omi.support.errors import CloudError, CredentialsError
from tests.omi.outscale.conftest import access_of
from tests.omi.specs import OWNER, make_spec
from tests.sandbox.client import Oapi as Client
from tests.sandbox.client import Sandbox, empty_volume, launch, register, snapshot, wait_state

NAME = "alpine-3.23.6-x86_64-r0"
OURS = {**OWNER.tags, "build-id": build_id_of(OWNER, NAME), "digest": "sha256:1"}


def tagged(client: Client, resource: str, tags: dict[str, str]) -> str:
    if tags:
        client.call("CreateTags", ResourceIds=[resource], Tags=[{"Key": key, "Value": tags[key]} for key in tags])
    return resource


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The actions that are sent, as they are."""
    seen: list[str] = []
    post = Cloud._post

    def counted(self: Cloud, action: str, parameters: Any) -> Any:
        seen.append(action)
        return post(self, action, parameters)

    monkeypatch.setattr(Cloud, "_post", counted)
    return seen


def test_own_images_are_told_with_access_marks_and_users(sandbox: Sandbox, access: CloudAccess, client: Client) -> None:
    disk = snapshot(client, empty_volume(client))
    ours = tagged(client, register(client, NAME, disk), OURS)
    copied = tagged(client, register(client, f"{NAME}-copy", disk), OURS)
    other = tagged(client, register(client, "alpine-3.23.5-x86_64-r0", disk), {**OURS, "stack-id": "another"})
    friend = sandbox.account_id("second")
    client.call(
        "UpdateImage",
        ImageId=other,
        PermissionsToLaunch={"Additions": {"AccountIds": [friend], "GlobalPermission": True}},
    )
    vm = client.call("CreateVms", ImageId=ours, VmType="tinav5.c1r1p2")["Vms"][0]["VmId"]
    wait_state(client, vm, "running")
    launch(client)  # from the official OMI, which is another account's

    view = read_account(Cloud.connect(access), OWNER)

    assert view.account == sandbox.account_id("main")
    assert [image.omi for image in view.images] == [other, ours, copied]
    mine, foreign = view.by_omi[ours], view.by_omi[other]
    assert [(each.managed, each.stray) for each in (mine, view.by_omi[copied], foreign)] == [
        (True, False),
        (False, True),
        (False, False),
    ]
    assert (mine.managed, mine.digest, mine.access, mine.used_by) == (True, "sha256:1", Access(), (vm,))
    assert (foreign.managed, foreign.used_by) == (False, ())
    assert foreign.access == Access(public=True, accounts=(friend,))

    client.call("DeleteVms", VmIds=[vm])
    assert read_account(Cloud.connect(access), OWNER).by_omi[ours].used_by == ()


def test_another_accounts_public_image_is_not_in_the_view(sandbox: Sandbox, client: Client) -> None:
    made = register(client, "alpine-3.23.6-x86_64-r0", snapshot(client, empty_volume(client)))
    client.call("UpdateImage", ImageId=made, PermissionsToLaunch={"Additions": {"GlobalPermission": True}})
    assert read_account(Cloud.connect(access_of(sandbox, "second")), OWNER).images == ()


def test_a_verified_image_without_tags_is_a_stray_by_its_description(access: CloudAccess, client: Client) -> None:
    identity = Identity(make_spec())
    disk = snapshot(client, empty_volume(client))
    omi = register(client, identity.spec.name, disk, Description=identity.described(verified=True))
    assert read_account(Cloud.connect(access), OWNER).by_omi[omi].stray
    tagged(client, omi, {"stack-id": "another"})
    assert not read_account(Cloud.connect(access), OWNER).by_omi[omi].stray


@pytest.mark.parametrize("worn", [{}, {"made-by": "somebody"}, {"digest": "sha256:1"}])
def test_somebodys_image_is_no_stray_and_holds_its_name(
    access: CloudAccess, client: Client, worn: dict[str, str]
) -> None:
    theirs = tagged(client, register(client, NAME, snapshot(client, empty_volume(client))), worn)
    view = read_account(Cloud.connect(access), OWNER)
    assert (view.by_omi[theirs].stray, view.by_omi[theirs].half_made) == (False, False)
    assert view.by_name[NAME].omi == theirs


def test_what_an_interrupted_build_left_does_not_hold_its_name(access: CloudAccess, client: Client) -> None:
    identity = Identity(make_spec())
    disk = snapshot(client, empty_volume(client))
    left = register(client, identity.spec.name, disk, Description=identity.description)
    view = read_account(Cloud.connect(access), OWNER)
    assert left in view.by_omi
    assert view.by_name == {}
    assert list(view.revisions((identity.spec.name[:-1], ""))) == []
    client.call("UpdateImage", ImageId=left, Description=identity.described(verified=True))
    assert identity.spec.name in read_account(Cloud.connect(access), OWNER).by_name

    tagged(client, left, dict(identity.tags))
    assert read_account(Cloud.connect(access), OWNER).by_name[identity.spec.name].managed


@pytest.mark.parametrize(
    "worn",
    [
        {"verified": "yes"},
        {"claim": "1"},
        {"stands-for": "sha256:1"},
        {"stack-id": "another"},
        {"build-id": "b-of-another"},
    ],
)
def test_an_own_whole_image_is_unchecked_until_it_is_verified_held_or_shared(
    access: CloudAccess, client: Client, worn: dict[str, str]
) -> None:
    identity = Identity(make_spec())
    left = register(client, identity.spec.name, snapshot(client, empty_volume(client)))
    tagged(client, left, dict(identity.tags))
    cloud = Cloud.connect(access)
    assert read_account(cloud, OWNER).by_omi[left].unchecked
    for change, unchecked in (("Additions", False), ("Removals", True)):
        client.call("UpdateImage", ImageId=left, PermissionsToLaunch={change: {"GlobalPermission": True}})
        assert read_account(cloud, OWNER).by_omi[left].unchecked is unchecked
    tagged(client, left, worn)
    assert not read_account(cloud, OWNER).by_omi[left].unchecked


def test_many_images_come_page_by_page(access: CloudAccess, client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(client_module, "_PAGE", 2)
    disk = snapshot(client, empty_volume(client))
    made = {register(client, f"image-{number}", disk) for number in range(5)}
    assert {image.omi for image in read_account(Cloud.connect(access), OWNER).images} == made


def test_a_plan_costs_three_calls(access: CloudAccess, client: Client, calls: list[str]) -> None:
    disk = snapshot(client, empty_volume(client))
    for number in range(5):
        tagged(client, register(client, f"image-{number}", disk), OURS)
    assert len(read_account(Cloud.connect(access), OWNER).images) == 5
    assert sorted(calls) == ["ReadAccounts", "ReadImages", "ReadVms"]


def test_a_refused_key_is_tried_once_and_told_in_one_line(
    sandbox: Sandbox, access: CloudAccess, calls: list[str]
) -> None:
    plain = access.model_copy(update={"osc_file": None, "osc_profile": None})
    keys = {"OSC_ACCESS_KEY": sandbox.profiles["main"]["access_key"], "OSC_SECRET_KEY": "WRONGSECRET"}
    with pytest.raises(CredentialsError, match=re.escape(access.api)) as raised:
        read_account(Cloud.connect(plain, keys), OWNER)
    assert calls == ["ReadAccounts"]
    assert "\n" not in str(raised.value)
    assert "WRONGSECRET" not in str(raised.value)


def test_a_busy_cloud_is_asked_again(
    sandbox: Sandbox, access: CloudAccess, calls: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("omi.outscale.client.time.sleep", lambda _: None)
    sandbox.control("POST", "faults", {"action": "ReadImages", "times": 2, "status": 503})
    assert read_account(Cloud.connect(access), OWNER).images == ()
    assert calls.count("ReadImages") == 3


def test_an_unreachable_cloud_is_one_line(access: CloudAccess) -> None:
    nowhere = access.model_copy(update={"api": "https://127.0.0.1:9/api/v1"})
    with pytest.raises(CloudError, match="connection refused"):
        read_account(Cloud.connect(nowhere), OWNER)


def test_an_answer_of_another_shape_is_one_line(access: CloudAccess, monkeypatch: pytest.MonkeyPatch) -> None:
    def odd(self: Cloud, action: str, parameters: Any = None) -> Any:
        return {"Accounts": [{"AccountId": "1"}], "Images": [{"AccountId": 5}], "Vms": []}

    monkeypatch.setattr(Cloud, "call", odd)
    with pytest.raises(CloudError, match=r"ReadImages at .* cannot be read: ImageId"):
        read_account(Cloud.connect(access), OWNER)


def test_an_image_that_a_list_lacks_is_asked_for_by_its_id(
    access: CloudAccess, client: Client, calls: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    there = register(client, "alpine-3.23.6-x86_64-r0", snapshot(client, empty_volume(client)))
    read = Cloud.call

    def forgetful(self: Cloud, action: str, parameters: Any = {}) -> Any:  # noqa: B006
        answer = read(self, action, parameters)
        return {**answer, "Images": []} if "AccountIds" in parameters.get("Filters", {}) else answer

    monkeypatch.setattr(Cloud, "call", forgetful)
    view = read_account(Cloud.connect(access), OWNER, [there, "ami-deadbeef"])
    assert list(view.by_omi) == [there]
    assert view.missing == {"ami-deadbeef"}
    assert calls.count("ReadImages") == 2


def test_an_image_is_missing_only_if_its_tags_are_gone_too(
    sandbox: Sandbox, access: CloudAccess, client: Client
) -> None:
    there = tagged(client, register(client, NAME, snapshot(client, empty_volume(client))), OURS)
    sandbox.control("POST", "faults", {"action": "ReadImages", "omit": [there], "times": -1})
    view = read_account(Cloud.connect(access), OWNER, [there])
    assert (view.images, view.missing) == ((), frozenset())
    sandbox.control("DELETE", "faults")
    client.call("DeleteImage", ImageId=there)
    assert read_account(Cloud.connect(access), OWNER, [there]).missing == {there}


def test_a_list_that_ignores_its_filter_brings_no_strangers_image(
    sandbox: Sandbox, access: CloudAccess, client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    mine = register(client, NAME, snapshot(client, empty_volume(client)))
    read = Cloud.call

    def careless(self: Cloud, action: str, parameters: Any = {}) -> Any:  # noqa: B006
        return read(self, action, {} if action == "ReadImages" else parameters)

    monkeypatch.setattr(Cloud, "call", careless)
    assert len(client.call("ReadImages")["Images"]) > 1, "the official one is there, too"
    assert list(read_account(Cloud.connect(access), OWNER).by_omi) == [mine]


@pytest.mark.parametrize(("state", "half"), [("pending", True), ("available", False)])
def test_an_own_image_that_is_still_being_made_is_half_made(
    access: CloudAccess, client: Client, monkeypatch: pytest.MonkeyPatch, state: str, half: bool
) -> None:
    identity = Identity(make_spec())
    disk = snapshot(client, empty_volume(client))
    tags = dict(identity.tags)
    made = tagged(client, register(client, identity.spec.name, disk, Description=identity.description), tags)
    read = Cloud.call

    def slow(self: Cloud, action: str, parameters: Any = {}) -> Any:  # noqa: B006
        answer = read(self, action, parameters)
        return {**answer, "Images": [{**each, "State": state} for each in answer.get("Images", ())]}

    monkeypatch.setattr(Cloud, "call", slow)
    seen = read_account(Cloud.connect(access), OWNER).by_omi[made]
    assert (seen.half_made, seen.tags, seen.description) == (half, tags, identity.description)
    tagged(client, made, {"claim": "1"})
    assert not read_account(Cloud.connect(access), OWNER).by_omi[made].half_made
