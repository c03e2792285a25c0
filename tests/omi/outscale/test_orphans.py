from __future__ import annotations

from collections.abc import Callable

import pytest

from omi.errors import CloudError, CredentialsError
from omi.identity import Identity
from omi.image import CloudAccess
from omi.ledger import Ledger, LedgerImage, StoredCommand
from omi.outscale.cloud import Cloud
from omi.outscale.orphans import Orphan, find_orphans, remove_orphans
from tests.omi.specs import make_record, make_spec
from tests.sandbox.client import Oapi as Client
from tests.sandbox.client import (
    Sandbox,
    empty_volume,
    launch,
    register,
    root_volume,
    snapshot,
    state_of,
    wait_state,
)

SPEC = make_spec()
IDENTITY = Identity(SPEC)
TAGS = dict(IDENTITY.tags)
FOREIGN = {**TAGS, "stack-id": "another"}


@pytest.fixture
def client(sandbox: Sandbox) -> Client:
    return sandbox.oapi("main")


@pytest.fixture
def cloud(access: CloudAccess) -> Cloud:
    return Cloud.connect(access)


def tag(client: Client, resource: str, tags: dict[str, str]) -> str:
    client.call("CreateTags", ResourceIds=[resource], Tags=[{"Key": key, "Value": tags[key]} for key in tags])
    return resource


def image(client: Client, name: str, tags: dict[str, str], description: str = "") -> tuple[str, str]:
    """An OMI and its snapshot, both with the tags."""
    disk = snapshot(client, empty_volume(client))
    made = register(client, name, disk, Description=description)
    if tags:
        tag(client, disk, tags)
        tag(client, made, tags)
    return made, disk


def held(omi: str, snapshots: tuple[str, ...], account: str) -> Ledger:
    record = make_record(name=SPEC.name, omi=omi, snapshots=snapshots, account=account)
    return Ledger.of([LedgerImage(SPEC.name, SPEC, record, StoredCommand("c", "u", "d", SPEC.to_json()))])


def look(cloud: Cloud, ledger: Ledger | None = None, names: tuple[str, ...] = ()) -> list[Orphan]:
    return find_orphans(cloud, ledger or Ledger(), SPEC.owner, names)


def test_what_state_holds_and_what_others_made_is_no_orphan(sandbox: Sandbox, cloud: Cloud, client: Client) -> None:
    own, disk = image(client, SPEC.name, TAGS)
    image(client, "alpine-3.23.6-x86_64-r1", FOREIGN)
    image(client, "of-somebody", {})
    snapshot(client, empty_volume(client))
    tag(client, launch(client), FOREIGN)
    client.call("CreateKeypair", KeypairName="alpine-omi-b-0123456789abcdef-build")
    client.call("CreateKeypair", KeypairName="mine")
    client.call("CreateSecurityGroup", SecurityGroupName="alpine-omi-b-0123456789abcdef", Description="another's")
    assert look(cloud, held(own, (disk,), sandbox.account_id())) == []


def test_everything_of_an_interrupted_build_goes_and_a_second_time_finds_nothing(cloud: Cloud, client: Client) -> None:
    foreign_image, foreign_disk = image(client, "alpine-3.23.6-x86_64-r1", FOREIGN)
    vm = tag(client, launch(client), dict(IDENTITY.run_tags))
    disk = tag(client, root_volume(client, vm), dict(IDENTITY.run_tags))
    volume = tag(client, empty_volume(client), dict(IDENTITY.run_tags))
    stateless, _ = image(client, SPEC.name, TAGS)
    alone = tag(client, snapshot(client, empty_volume(client)), TAGS)
    client.call("CreateKeypair", KeypairName=IDENTITY.build_key)
    made = client.call("CreateSecurityGroup", SecurityGroupName=IDENTITY.group, Description="ours")
    group = made["SecurityGroup"]["SecurityGroupId"]

    found = look(cloud)
    assert [(each.kind, each.id) for each in found] == [
        ("VM", vm),
        ("volume", volume),
        ("image", stateless),
        ("snapshot", alone),
        ("keypair", IDENTITY.build_key),
        ("group", group),
    ]
    said: list[str] = []
    remove_orphans(cloud, found, SPEC.owner, said.append)
    assert f"removed VM {vm}" in said
    assert state_of(client, stateless) == "gone"
    assert {state_of(client, alone), state_of(client, disk)} <= {"gone", "deleting"}
    assert (state_of(client, foreign_image), state_of(client, foreign_disk)) == ("available", "completed")
    assert look(cloud) == []
    remove_orphans(cloud, found, SPEC.owner, said.append)  # what is gone by then counts as done


def test_keys_and_groups_are_ours_only_by_a_build_that_is_known(cloud: Cloud, client: Client) -> None:
    client.call("CreateKeypair", KeypairName=IDENTITY.verify_key)
    assert look(cloud) == []
    assert [each.kind for each in look(cloud, names=(SPEC.name,))] == ["keypair"]


def test_an_image_that_a_vm_runs_from_and_a_half_made_one_are_only_told_of(cloud: Cloud, client: Client) -> None:
    used, _ = image(client, SPEC.name, TAGS)
    vm = client.call("CreateVms", ImageId=used, VmType="tinav5.c1r1p2")["Vms"][0]["VmId"]
    wait_state(client, vm, "running")
    other = Identity(make_spec(name="alpine-3.23.6-x86_64-r1", revision=1))
    half, _ = image(client, other.spec.name, {}, other.description)
    found = look(cloud)
    assert {each.id for each in found} == {used, half}
    assert all(each.stays for each in found)
    remove_orphans(cloud, found, SPEC.owner, lambda _: None)
    assert (state_of(client, used), state_of(client, half)) == ("available", "available")


def test_an_image_that_was_verified_or_is_shared_is_only_named(cloud: Cloud, client: Client) -> None:
    verified, _ = image(client, SPEC.name, {**TAGS, "verified": "yes"})
    shared, _ = image(client, "alpine-3.23.6-x86_64-r1", TAGS)
    client.call("UpdateImage", ImageId=shared, PermissionsToLaunch={"Additions": {"GlobalPermission": True}})
    found = look(cloud)
    assert {each.id for each in found} == {verified, shared}
    assert all(each.stays and "deregister it by hand" in each.why for each in found)
    remove_orphans(cloud, found, SPEC.owner, lambda _: None)
    assert {state_of(client, each) for each in (verified, shared)} == {"available"}


def test_one_that_cannot_be_removed_stops_no_other(cloud: Cloud, client: Client) -> None:
    busy = tag(client, snapshot(client, empty_volume(client)), TAGS)
    free = tag(client, snapshot(client, empty_volume(client)), TAGS)
    found = sorted(look(cloud), key=lambda each: each.id != busy)
    said: list[str] = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("omi.outscale.orphans.delete_snapshot", refusing(busy))
        with pytest.raises(CloudError, match="in use"):
            remove_orphans(cloud, found, SPEC.owner, said.append)
    assert said == [f"not removed: snapshot {busy}: in use", f"removed snapshot {free}"]


def refusing(busy: str) -> Callable[[Cloud, str], None]:
    def delete(_: Cloud, identifier: str) -> None:
        if identifier == busy:
            raise CloudError("in use", "InvalidSnapshot.InUse")

    return delete


def test_another_accounts_key_sweeps_nothing(cloud: Cloud) -> None:
    with pytest.raises(CredentialsError, match="belongs to account 999"):
        look(cloud, held("ami-00000001", (), "999"))
