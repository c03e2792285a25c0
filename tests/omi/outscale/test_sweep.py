"""A sweep takes what is proved to be a build's own, one kind after the other, and nothing that only resembles it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from omi.outscale.client import Cloud
from omi.outscale.images import Ours, delete_omi, own_omis, read_omi
from omi.outscale.shapes import CloudSnapshot, CloudVolume, listed
from omi.outscale.sweep import Builds, Leftover, Search, clean_up, remove_leftovers
from omi.state.identity import Identity
from omi.state.owner import going_mark, working_name
from omi.support.errors import CloudError
from tests.omi.specs import OWNER, make_spec
from tests.sandbox.client import (
    Oapi,
    Sandbox,
    empty_volume,
    launch,
    register,
    root_volume,
    snapshot,
    state_of,
    wait_for,
    wait_state,
)

IDENTITY = Identity(make_spec())
NAME = IDENTITY.spec.name
TAGS = dict(IDENTITY.tags)
RUN_TAGS = dict(IDENTITY.run_tags)


def tag(client: Oapi, resource: str, tags: dict[str, str]) -> str:
    if tags:
        client.call("CreateTags", ResourceIds=[resource], Tags=[{"Key": key, "Value": tags[key]} for key in tags])
    return resource


def image(client: Oapi, name: str, tags: dict[str, str], description: str = "") -> tuple[str, str]:
    """An OMI and its snapshot, both with the tags."""
    disk = tag(client, snapshot(client, empty_volume(client)), tags)
    return tag(client, register(client, name, disk, Description=description), tags), disk


def search(cloud: Cloud, **more: Any) -> Search:
    return Search(cloud, Builds(**{"owner": OWNER, "names": frozenset({NAME}), **more}))


def found(cloud: Cloud, **more: Any) -> list[Leftover]:
    return [left for find in search(cloud, **more).kinds for left in find()]


def inventory(sandbox: Sandbox) -> Any:
    return sandbox.control("GET", "inventory")["main"]["resources"]


def stays(sandbox: Sandbox, cloud: Cloud, identifier: str, why: str, **more: Any) -> None:
    """The thing is reported with a reason, and a sweep changes nothing at all."""
    (left,) = [each for each in found(cloud, **more) if each.id == identifier]
    assert left.stays
    assert why in left.why
    assert left.name or left.kind != "image"
    before = inventory(sandbox)
    remove_leftovers(search(cloud, **more), [left], pytest.fail)
    clean_up(search(cloud, **more), pytest.fail)
    assert inventory(sandbox) == before


def test_all_that_an_interrupted_build_left_goes_and_nothing_else(sandbox: Sandbox, cloud: Cloud, client: Oapi) -> None:
    foreign, foreign_disk = image(client, f"{NAME}-2", {**TAGS, "stack-id": "another"})
    image(client, "of-somebody", {})
    tag(client, launch(client), {**RUN_TAGS, "stack-id": "another"})
    client.call("CreateKeypair", KeypairName="alpine-omi-b-0123456789abcdef-build")
    client.call("CreateKeypair", KeypairName=f"{IDENTITY.build_key}-2")
    client.call("CreateSecurityGroup", SecurityGroupName=f"{IDENTITY.group}2", Description="another's")
    before = inventory(sandbox)

    client.call("CreateKeypair", KeypairName=IDENTITY.build_key)
    group = client.call("CreateSecurityGroup", SecurityGroupName=IDENTITY.group, Description="ours")
    vm = tag(client, launch(client, KeypairName=IDENTITY.build_key), RUN_TAGS)
    alone = snapshot(client, root_volume(client, vm))
    hung = tag(client, empty_volume(client), RUN_TAGS)
    client.call("LinkVolume", VolumeId=hung, VmId=vm, DeviceName="/dev/sdb")
    data = empty_volume(client)
    client.call("LinkVolume", VolumeId=data, VmId=vm, DeviceName="/dev/sdc")
    backup = snapshot(client, data)
    omi, disk = image(client, NAME, TAGS)
    half, _ = image(client, working_name(NAME, IDENTITY.build_id), TAGS)
    assert [(each.kind, each.id, each.name, each.stays) for each in found(cloud)] == [
        *(("image", each, NAME, False) for each in sorted((omi, half), key=lambda one: one != omi)),
        ("snapshot", alone, NAME, False),
        ("VM", vm, NAME, False),
        ("keypair", IDENTITY.build_key, NAME, False),
        ("group", group["SecurityGroup"]["SecurityGroupId"], NAME, False),
    ]
    clean_up(search(cloud), lambda _: None)
    wait_for(lambda: {state_of(client, each) for each in (alone, disk)}, lambda seen: seen <= {"gone", "deleting"})
    kinds = ("image", "keypair", "security-group")
    assert {kind: inventory(sandbox)[kind] for kind in kinds} == {kind: before[kind] for kind in kinds}
    assert state_of(client, hung) in ("gone", "deleting")
    assert (state_of(client, foreign), state_of(client, foreign_disk)) == ("available", "completed")
    assert (state_of(client, data), state_of(client, backup)) == ("available", "completed"), "a person's disk"
    assert found(cloud) == []
    clean_up(search(cloud), pytest.fail)


def shared(client: Oapi) -> str:
    omi, _ = image(client, NAME, TAGS)
    client.call("UpdateImage", ImageId=omi, PermissionsToLaunch={"Additions": {"AccountIds": ["123456789012"]}})
    return omi


@pytest.mark.parametrize(
    ("make", "why"),
    [
        (lambda client: image(client, NAME, {**TAGS, "verified": "yes"})[0], "it was verified"),
        (lambda client: image(client, NAME, {**TAGS, "claim": "c"})[0], "it was verified"),
        (lambda client: image(client, NAME, TAGS, IDENTITY.described(verified=True))[0], "it was verified"),
        (shared, "it is shared"),
        (lambda client: image(client, f"{NAME}-copy", TAGS)[0], "not of its name"),
        (lambda client: image(client, NAME, {**TAGS, "build-id": "b-1"})[0], "not of its name"),
        (lambda client: image(client, NAME, {"stack-id": OWNER.stack_id})[0], "not of its name"),
        (lambda client: image(client, NAME, {}, IDENTITY.described(verified=True))[0], "verified: put its tags back"),
    ],
    ids=["verified", "claimed", "described", "shared", "copied tags", "another id", "stack id alone", "untagged"],
)
def test_an_image_stays(sandbox: Sandbox, cloud: Cloud, client: Oapi, make: Callable[[Oapi], str], why: str) -> None:
    stays(sandbox, cloud, make(client), why)


def test_an_image_of_whose_access_nothing_is_known_stays(
    sandbox: Sandbox, cloud: Cloud, client: Oapi, monkeypatch: pytest.MonkeyPatch
) -> None:
    omi, _ = image(client, NAME, TAGS)
    unsaid = [each.model_copy(update={"permissions": None}) for each in own_omis(cloud, {})]
    monkeypatch.setattr("omi.outscale.sweep.own_omis", lambda *_: unsaid)
    stays(sandbox, cloud, omi, "it is shared")


def test_words_of_the_profile_do_not_make_an_image_verified(cloud: Cloud, client: Oapi) -> None:
    identity = Identity(make_spec(description="Alpine, verified by QA"))
    omi, _ = image(client, NAME, {**TAGS, "verified": "no"}, identity.description)
    assert [(left.id, left.stays) for left in found(cloud)] == [(omi, False)]


@pytest.mark.parametrize("name", [NAME, working_name(NAME, IDENTITY.build_id)])
def test_a_half_made_image_goes_by_its_description_and_none_of_another_stack_or_name(
    sandbox: Sandbox, cloud: Cloud, client: Oapi, name: str
) -> None:
    image(client, f"{NAME}-copy", {}, IDENTITY.description)
    image(client, "other", {}, Identity(make_spec(stack_id="another")).description)
    before = inventory(sandbox)["image"]
    half, disk = image(client, name, {}, IDENTITY.description)
    (left,) = found(cloud)
    assert (left.kind, left.id, left.name, left.stays) == ("image", half, NAME, False)
    assert left.why.endswith("half-made")
    clean_up(search(cloud), lambda _: None)
    assert inventory(sandbox)["image"] == before
    assert state_of(client, disk) in ("gone", "deleting")


@pytest.mark.parametrize("by", ["name", "id"])
def test_a_protected_image_stays_with_all_of_its_build(sandbox: Sandbox, cloud: Cloud, client: Oapi, by: str) -> None:
    omi, disk = image(client, NAME, TAGS)
    stays(sandbox, cloud, omi, "is protected", protect=frozenset({NAME if by == "name" else omi}))
    if by == "name":
        half, _ = image(client, working_name(NAME, IDENTITY.build_id), {}, IDENTITY.description)
        stays(sandbox, cloud, half, "is protected", protect=frozenset({NAME}))
        client.call("DeleteImage", ImageId=half)
        client.call("DeleteImage", ImageId=omi)
        tag(client, disk, {"going": going_mark(OWNER.stack_id, disk)})
        stays(sandbox, cloud, disk, "protected image", protect=frozenset({NAME}))


def test_a_half_made_image_stays_that_is_protected_by_the_name_it_bears(
    sandbox: Sandbox, cloud: Cloud, client: Oapi
) -> None:
    name = working_name(NAME, IDENTITY.build_id)
    half, _ = image(client, name, TAGS)
    stays(sandbox, cloud, half, "is protected", protect=frozenset({name}))


def test_of_a_protected_image_vm_volume_keypair_and_group_stay(sandbox: Sandbox, cloud: Cloud, client: Oapi) -> None:
    client.call("CreateKeypair", KeypairName=IDENTITY.build_key)
    client.call("CreateSecurityGroup", SecurityGroupName=IDENTITY.group, Description="ours")
    vm = tag(client, launch(client, KeypairName=IDENTITY.build_key), RUN_TAGS)
    volume = tag(client, empty_volume(client), RUN_TAGS)
    given: dict[str, Any] = {"protect": frozenset({NAME}), "volumes": frozenset({volume})}
    assert {each.kind for each in found(cloud, **given) if each.stays} == {"VM", "volume", "keypair", "group"}
    stays(sandbox, cloud, vm, "is of a protected image", **given)
    clean_up(search(cloud, volumes=frozenset({volume})), lambda _: None)
    assert found(cloud) == []


@pytest.mark.parametrize("traced", ["image", "snapshot", "VM"])
def test_a_keypair_is_known_by_the_name_that_other_things_of_the_stack_bear(
    cloud: Cloud, client: Oapi, traced: str
) -> None:
    other = Identity(make_spec(name="alpine-3.21.0-x86_64-r4"))
    client.call("CreateKeypair", KeypairName=other.verify_key)
    assert [(each.id, each.stays) for each in found(cloud)] == [(other.verify_key, True)]
    if traced == "VM":
        tag(client, launch(client), {**other.run_tags, "Name": f"{other.spec.name} verify"})
    elif traced == "snapshot":
        tag(client, snapshot(client, empty_volume(client)), dict(other.tags))
    else:
        tag(client, register(client, "any", snapshot(client, empty_volume(client))), dict(other.tags))
    found_now = [(each.id, each.name, each.stays) for each in found(cloud) if each.kind == "keypair"]
    assert found_now == [(other.verify_key, other.spec.name, traced == "VM")], "a VM of another keypair stays"


@pytest.mark.parametrize("wrong", [{"owner": "210987654321"}, {"state": "deleting"}])
def test_a_list_with_another_accounts_snapshots_and_dying_ones_is_sorted_out(
    cloud: Cloud, client: Oapi, monkeypatch: pytest.MonkeyPatch, wrong: dict[str, str]
) -> None:
    one = snapshot(client, empty_volume(client))
    tag(client, one, {**TAGS, "going": going_mark(OWNER.stack_id, one)})
    assert [each.id for each in found(cloud)] == [one]
    seen = {CloudSnapshot: [each.model_copy(update=wrong) for each in listed(cloud, CloudSnapshot)]}
    monkeypatch.setattr("omi.outscale.sweep.listed", lambda _, kind, **__: seen.get(kind, []))
    assert found(cloud) == []


def test_a_persons_snapshot_of_a_vm_that_they_try_an_image_in_stays(cloud: Cloud, client: Oapi) -> None:
    client.call("CreateKeypair", KeypairName=IDENTITY.verify_key)
    vm = tag(client, launch(client, KeypairName=IDENTITY.verify_key), RUN_TAGS)
    taken = snapshot(client, root_volume(client, vm))
    for alone in (False, True):
        assert taken not in [each.id for each in found(cloud, alone=alone)]
    clean_up(search(cloud, alone=True), lambda _: None)
    assert (state_of(client, vm), state_of(client, taken)) == ("terminated", "completed")


def test_a_snapshot_that_cannot_be_deleted_is_known_when_its_vm_is_gone(
    sandbox: Sandbox, cloud: Cloud, client: Oapi
) -> None:
    client.call("CreateKeypair", KeypairName=IDENTITY.build_key)
    vm = tag(client, launch(client, KeypairName=IDENTITY.build_key), RUN_TAGS)
    taken = snapshot(client, root_volume(client, vm))
    sandbox.control("POST", "faults", {"action": "DeleteSnapshot", "status": 400, "code": "4045"})
    with pytest.raises(CloudError):
        clean_up(search(cloud, alone=True), lambda _: None)
    assert (state_of(client, vm), state_of(client, taken)) == ("terminated", "completed")
    assert [(each.id, each.name, each.stays) for each in found(cloud)] == [(taken, NAME, False)]
    clean_up(search(cloud), lambda _: None)
    assert state_of(client, taken) in ("gone", "deleting")


def test_an_image_of_this_stacks_description_with_others_tags_is_reported(
    sandbox: Sandbox, cloud: Cloud, client: Oapi
) -> None:
    omi, _ = image(client, NAME, {"owner": "somebody"}, IDENTITY.description)
    stays(sandbox, cloud, omi, "its description is of this stack")
    image(client, "of-somebody", {"owner": "somebody"}, "theirs")
    image(client, f"{NAME}-2", {"stack-id": "another"}, Identity(make_spec(name=f"{NAME}-2")).description)
    assert [each.id for each in found(cloud)] == [omi]


def test_a_dying_volume_is_not_listed(cloud: Cloud, client: Oapi, monkeypatch: pytest.MonkeyPatch) -> None:
    tag(client, empty_volume(client), RUN_TAGS)
    assert [each.kind for each in found(cloud)] == ["volume"]
    seen = [each.model_copy(update={"state": "deleting"}) for each in listed(cloud, CloudVolume)]
    monkeypatch.setattr("omi.outscale.sweep.listed", lambda _, kind, **__: seen if kind is CloudVolume else [])
    assert found(cloud) == []


def test_a_snapshot_that_state_holds_stays_where_a_leftover_made_of_it_goes(cloud: Cloud, client: Oapi) -> None:
    omi, disk = image(client, NAME, TAGS)
    clean_up(search(cloud, spare=frozenset({disk})), lambda _: None)
    assert (state_of(client, omi), state_of(client, disk)) == ("gone", "completed")


def test_an_image_that_state_holds_is_not_even_listed(cloud: Cloud, client: Oapi) -> None:
    omi, disk = image(client, NAME, TAGS)
    assert found(cloud, spare=frozenset({omi, disk})) == []
    second = tag(client, register(client, working_name(NAME, IDENTITY.build_id), disk), TAGS)
    clean_up(search(cloud, spare=frozenset({omi, disk})), lambda _: None)
    assert (state_of(client, second), state_of(client, omi), state_of(client, disk)) == (
        "gone",
        "available",
        "completed",
    )


def test_an_image_that_a_foreign_vm_runs_from_stays_but_not_for_its_builds_own(
    sandbox: Sandbox, cloud: Cloud, client: Oapi
) -> None:
    omi, _ = image(client, NAME, TAGS)

    def run(**more: str) -> str:
        vm = client.call("CreateVms", ImageId=omi, VmType="tinav5.c1r1p2", **more)["Vms"][0]["VmId"]
        wait_state(client, vm, "running")
        return str(vm)

    other = run()
    stays(sandbox, cloud, omi, f"{other} runs from it")
    client.call("DeleteVms", VmIds=[other])
    wait_state(client, other, "terminated")
    client.call("CreateKeypair", KeypairName=IDENTITY.verify_key)
    own = tag(client, run(KeypairName=IDENTITY.verify_key), {**RUN_TAGS, "Name": f"{NAME} verify"})
    clean_up(search(cloud), lambda _: None)
    assert (state_of(client, omi), state_of(client, own)) == ("gone", "terminated")


@pytest.mark.parametrize(
    ("key", "tags"),
    [("mine", RUN_TAGS), (IDENTITY.build_key, {}), (IDENTITY.build_key, {**RUN_TAGS, "stack-id": "another"})],
    ids=["foreign keypair", "no tags", "another stack's tags"],
)
def test_a_vm_stays_unless_both_keypair_and_tags_are_a_builds(
    sandbox: Sandbox, cloud: Cloud, client: Oapi, key: str, tags: dict[str, str]
) -> None:
    for name in {key, IDENTITY.build_key}:
        client.call("CreateKeypair", KeypairName=name)
    vm = tag(client, launch(client, KeypairName=key), tags)
    taken = snapshot(client, root_volume(client, vm))
    stays(sandbox, cloud, vm, "not both keypair and tags")
    assert state_of(client, taken) == "completed"
    stays(sandbox, cloud, IDENTITY.build_key, "of a VM that stays")


def test_a_build_ends_the_vm_that_it_had_no_time_to_tag_but_none_with_copied_tags(cloud: Cloud, client: Oapi) -> None:
    client.call("CreateKeypair", KeypairName=IDENTITY.build_key)
    own, foreign = launch(client, KeypairName=IDENTITY.build_key), tag(client, launch(client), RUN_TAGS)
    clean_up(search(cloud, alone=True), lambda _: None)
    assert (state_of(client, own), state_of(client, foreign)) == ("terminated", "running")


def test_a_build_leaves_what_another_build_of_its_stack_makes(sandbox: Sandbox, cloud: Cloud, client: Oapi) -> None:
    other = Identity(make_spec(name="alpine-3.23.6-x86_64-r1", revision=1))
    client.call("CreateKeypair", KeypairName=other.build_key)
    tag(client, launch(client, KeypairName=other.build_key), dict(other.run_tags))
    before = inventory(sandbox)
    clean_up(search(cloud, alone=True), pytest.fail)
    assert inventory(sandbox) == before
    assert {each.kind for each in found(cloud)} == {"VM", "keypair"}, "its tags say its name"


def test_a_volume_and_a_snapshot_with_tags_alone_stay(sandbox: Sandbox, cloud: Cloud, client: Oapi) -> None:
    volume = tag(client, empty_volume(client), RUN_TAGS)
    taken = tag(client, snapshot(client, volume), TAGS)
    for identifier in (volume, taken):
        stays(sandbox, cloud, identifier, "nothing shows that a build left it")
    logged = {"volumes": frozenset({volume})}  # Packer's log names it
    assert Leftover("volume", volume, NAME, "left by a build") in found(cloud, **logged)
    assert Leftover("snapshot", taken, NAME, "left by a build") in found(cloud, **logged)
    clean_up(search(cloud, **logged), lambda _: None)
    assert {state_of(client, volume), state_of(client, taken)} <= {"gone", "deleting"}


@pytest.mark.parametrize("proved_by", ["log", "VM"])
def test_a_verified_images_snapshot_that_somebody_kept_stays_and_one_that_a_prune_left_goes(
    sandbox: Sandbox, cloud: Cloud, client: Oapi, proved_by: str
) -> None:
    client.call("CreateKeypair", KeypairName=IDENTITY.build_key)
    vm = tag(client, launch(client, KeypairName=IDENTITY.build_key), RUN_TAGS)
    volume = root_volume(client, vm)
    kept, pruned, doubtful, of_nothing = (tag(client, snapshot(client, volume), TAGS) for _ in range(4))
    for each in (kept, pruned):
        tag(client, each, {"verified": "yes"})
    tag(client, pruned, {"going": going_mark(OWNER.stack_id, pruned)})
    tag(client, kept, {"going": going_mark(OWNER.stack_id, pruned)})  # somebody copied the tags
    tag(client, doubtful, {"verified": "no"})
    logged = {"volumes": frozenset({volume} if proved_by == "log" else ())}
    (left,) = [each for each in found(cloud, **logged) if each.id == kept]
    assert (left.stays, "its image was verified" in left.why) == (True, True)
    remove_leftovers(search(cloud, **logged), found(cloud, **logged), lambda _: None)
    there = {each["id"] for each in inventory(sandbox)["snapshot"] if each["state"] != "deleting"}
    assert there & {kept, pruned, doubtful, of_nothing} == {kept}


def test_a_volume_of_the_log_with_foreign_tags_stays_with_its_snapshots(
    sandbox: Sandbox, cloud: Cloud, client: Oapi
) -> None:
    volume = tag(client, empty_volume(client), {"owner": "somebody"})
    half = tag(client, empty_volume(client), OWNER.proof)  # of which build?
    tag(client, snapshot(client, half), OWNER.proof)
    tag(client, snapshot(client, volume), {"owner": "somebody"})
    tag(client, snapshot(client, volume), {**TAGS, "stack-id": "another"})
    before = inventory(sandbox)
    logged = {"volumes": frozenset({volume, half})}
    assert [(each.kind, each.name, each.stays) for each in found(cloud, **logged)] == [
        ("snapshot", "", True),
        ("volume", "", True),
    ]
    clean_up(search(cloud, **logged), pytest.fail)
    assert inventory(sandbox) == before


def test_a_volume_whose_vm_was_ended_by_an_interrupted_sweep_follows_it(
    sandbox: Sandbox, cloud: Cloud, client: Oapi
) -> None:
    client.call("CreateKeypair", KeypairName=IDENTITY.build_key)
    vm = tag(client, launch(client, KeypairName=IDENTITY.build_key), RUN_TAGS)
    own, foreign = tag(client, empty_volume(client), RUN_TAGS), empty_volume(client)
    for volume, device in ((own, "/dev/sdb"), (foreign, "/dev/sdc")):
        client.call("LinkVolume", VolumeId=volume, VmId=vm, DeviceName=device)
    sandbox.control("POST", "faults", {"action": "DeleteVolume", "status": 400, "code": "4045"})
    with pytest.raises(CloudError):
        clean_up(search(cloud), lambda _: None)
    assert (state_of(client, vm), state_of(client, own)) == ("terminated", "available")
    assert [(each.id, each.stays) for each in found(cloud)] == [(own, False)]
    clean_up(search(cloud), lambda _: None)
    assert state_of(client, own) in ("gone", "deleting")
    assert state_of(client, foreign) == "available"


def test_the_mark_of_one_snapshot_proves_nothing_on_another(sandbox: Sandbox, cloud: Cloud, client: Oapi) -> None:
    one, other = (snapshot(client, empty_volume(client)) for _ in range(2))
    mark = {**TAGS, "going": going_mark(OWNER.stack_id, one)}
    for each in (one, other):
        tag(client, each, mark)
    stays(sandbox, cloud, other, "nothing shows", spare=frozenset({one}))
    tag(client, one, {"stack-id": "another"})
    assert [each.id for each in found(cloud)] == [other], "another stack has it by now"
    tag(client, one, TAGS)
    (left,) = [each for each in found(cloud) if each.id == one]
    assert (left.stays, left.why) == (False, "its image is deregistered")
    clean_up(search(cloud), lambda _: None)
    assert state_of(client, one) in ("gone", "deleting")
    assert state_of(client, other) == "completed"


@pytest.mark.parametrize("kept_by", ["spare", "an OMI", "a permission"])
def test_a_snapshot_that_is_held_used_or_shared_stays(
    sandbox: Sandbox, cloud: Cloud, client: Oapi, kept_by: str
) -> None:
    one = snapshot(client, empty_volume(client))
    tag(client, one, {**TAGS, "going": going_mark(OWNER.stack_id, one)})
    if kept_by == "an OMI":
        register(client, "of-somebody", one)
    if kept_by == "a permission":
        more = {"Additions": {"AccountIds": ["123456789012"]}}
        client.call("UpdateSnapshot", SnapshotId=one, PermissionsToCreateVolume=more)
    before = inventory(sandbox)
    clean_up(search(cloud, spare=frozenset({one} if kept_by == "spare" else ())), pytest.fail)
    assert inventory(sandbox) == before


def test_of_a_protected_image_keypair_and_group_stay_without_a_vm(sandbox: Sandbox, cloud: Cloud, client: Oapi) -> None:
    client.call("CreateKeypair", KeypairName=IDENTITY.verify_key)
    client.call("CreateSecurityGroup", SecurityGroupName=IDENTITY.group, Description="ours")
    left = found(cloud)
    assert [each.kind for each in left] == ["keypair", "group"]
    for each in left:
        stays(sandbox, cloud, each.id, "of a protected image", protect=frozenset({NAME}))


def test_a_keypair_of_a_groups_name_and_a_group_of_a_keypairs_name_are_no_builds(
    sandbox: Sandbox, cloud: Cloud, client: Oapi
) -> None:
    client.call("CreateKeypair", KeypairName=IDENTITY.group)
    client.call("CreateSecurityGroup", SecurityGroupName=IDENTITY.build_key, Description="a person's")
    vm = tag(client, launch(client, KeypairName=IDENTITY.group), RUN_TAGS)
    assert [each.id for each in found(cloud)] == [vm]
    stays(sandbox, cloud, vm, "not both keypair and tags")


def test_keypair_group_and_vm_that_1_0_0_named_are_known_by_an_image_alone(cloud: Cloud, client: Oapi) -> None:
    for build in (IDENTITY.build_id, "b-0123456789abcdef"):
        client.call("CreateKeypair", KeypairName=f"alpine-omi-{build}-build")
        client.call("CreateSecurityGroup", SecurityGroupName=f"alpine-omi-{build}", Description="a build's")
    tag(client, launch(client, KeypairName=f"alpine-omi-{IDENTITY.build_id}-build"), RUN_TAGS)
    for alone in (False, True):
        left = found(cloud, alone=alone)
        assert [(each.kind, each.name, each.stays) for each in left] == [
            (kind, NAME, False) for kind in ("VM", "keypair", "group")
        ]
    left = found(cloud, names=frozenset({f"{NAME}-2"}), alone=True)
    assert [(each.kind, each.stays) for each in left] == [("VM", True)], "by its tags"


def test_vm_keypair_and_group_of_an_image_whose_name_nothing_shows_are_reported(
    sandbox: Sandbox, cloud: Cloud, client: Oapi
) -> None:
    """The runner was killed before the VM had tags, and the next run wants an image of another day."""
    other = Identity(make_spec(stack_id="another"))
    for each in (IDENTITY, other):
        client.call("CreateKeypair", KeypairName=each.verify_key)
        client.call("CreateSecurityGroup", SecurityGroupName=each.group, Description="a build's")
        launch(client, KeypairName=each.verify_key)
    unknown = {"names": frozenset({f"{NAME}-2"})}
    left = found(cloud, **unknown)
    assert [(each.kind, each.name, each.stays) for each in left] == [
        ("VM", "", True),
        ("keypair", "", True),
        ("group", "", True),
    ]
    before = inventory(sandbox)
    clean_up(search(cloud, **unknown), pytest.fail)
    client.call("DeleteVms", VmIds=[left[0].id])
    wait_state(client, left[0].id, "terminated")
    stays(sandbox, cloud, IDENTITY.verify_key, "nothing shows of which image", **unknown)
    assert found(cloud, alone=True, **unknown) == []
    assert inventory(sandbox)["keypair"] == before["keypair"]
    assert {each.stays for each in found(cloud)} == {False}


def test_what_cannot_be_removed_or_listed_keeps_nothing_else(
    sandbox: Sandbox, cloud: Cloud, client: Oapi, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in (IDENTITY.build_key, IDENTITY.verify_key):
        client.call("CreateKeypair", KeypairName=name)
    client.call("CreateSecurityGroup", SecurityGroupName=IDENTITY.group, Description="left")
    first, second = (each.id for each in found(cloud) if each.kind == "keypair")

    def delete(_: Cloud, name: str) -> None:
        if name == first:
            raise CloudError("in use")
        client.call("DeleteKeypair", KeypairName=name)

    said: list[str] = []
    with monkeypatch.context() as patch:
        patch.setattr("omi.outscale.sweep.delete_key", delete)
        with pytest.raises(CloudError, match="in use"):
            clean_up(search(cloud, alone=True), said.append)
    assert said[:2] == [f"not removed: keypair {first}: in use", f"removed keypair {second}"]
    assert inventory(sandbox)["security-group"] == []
    client.call("CreateSecurityGroup", SecurityGroupName=IDENTITY.group, Description="left")
    sandbox.control("POST", "faults", {"action": "ReadKeypairs", "body": "<html>busy</html>", "times": 4})
    with pytest.raises(CloudError, match="its answer is not a JSON object"):
        clean_up(search(cloud, alone=True), said.append)
    assert inventory(sandbox)["security-group"] == []
    assert [each["name"] for each in inventory(sandbox)["keypair"]] == [first]


@pytest.mark.parametrize(
    "broken",
    [
        {"action": "DeleteSnapshot", "status": 400, "code": "OperationNotPermitted"},
        {"action": "ReadSnapshots", "body": "<html>busy</html>", "times": 4},
    ],
)
def test_the_snapshot_of_an_import_that_is_given_up_is_found_by_the_next_run(
    sandbox: Sandbox, cloud: Cloud, client: Oapi, broken: dict[str, object]
) -> None:
    said: list[str] = []
    omi = register(client, NAME, snapshot(client, empty_volume(client)), Description=IDENTITY.description)
    ours = Ours(OWNER.proof, IDENTITY.build_id)
    sandbox.control("POST", "faults", broken)
    with pytest.raises(CloudError):
        delete_omi(cloud, read_omi(cloud, omi), (), ours, said.append)
    if inventory(sandbox)["image"]:
        delete_omi(cloud, read_omi(cloud, omi), (), ours, said.append)
    for left in found(cloud, protect=frozenset({NAME})):
        assert (left.kind, left.name, left.stays) == ("snapshot", NAME, True), "it says whose it is"
    clean_up(search(cloud, alone=True), said.append)
    assert (inventory(sandbox)["image"], inventory(sandbox)["snapshot"]) == ([], [])
