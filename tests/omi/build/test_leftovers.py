"""What the clean-up after a build removes: each guard alone, with a near miss beside what goes."""

from __future__ import annotations

import io
import threading
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from omi.build.job import Job
from omi.build.leftovers import Leftovers
from omi.build.packer.inputs import RunFolder
from omi.outscale.images import find_own, put_tags, read_omi
from omi.outscale.shapes import Omi
from omi.state.identity import Identity
from omi.state.owner import CLAIM, STACK_ID, VERIFIED
from omi.support.errors import CloudError
from omi.support.narration import Narrator
from tests.omi.conftest import Account
from tests.sandbox.client import empty_volume, launch, register, snapshot, state_of

RUN = "alpine-3.23.6-x86_64-r0"


@dataclass
class Scene:
    """One account, and what the clean-up of one build does and says there."""

    account: Account
    left: Leftovers
    said: io.StringIO

    @property
    def identity(self) -> Identity:
        return self.left.job.identity

    @property
    def working(self) -> str:
        return self.left.job.working_name

    def image(self, name: str = RUN, tags: dict[str, str] | None = None, description: str = "", on: str = "") -> str:
        """An OMI of ours, over a snapshot of its own or an older one."""
        oapi = self.account.oapi
        omi = register(oapi, name, on or snapshot(oapi, empty_volume(oapi)), Description=description)
        worn = dict(self.identity.tags) if tags is None else tags
        if worn:
            put_tags(self.account.cloud, [omi], worn)
        return omi

    def seen(self, omi: str) -> Omi:
        found = read_omi(self.account.cloud, omi)
        assert found is not None
        return found

    def there(self, kind: str = "image") -> set[str]:
        held = self.account.sandbox.control("GET", "inventory")["main"]["resources"][kind]
        return {each["id"] for each in held if each.get("state") != "deleting"}

    def logs(self, *volumes: str) -> None:
        """Have Packer's log name these volumes."""
        lines = [f"==> x: Creating snapshot of EBS Volume {volume}...\n" for volume in volumes]
        self.left.job.folder.packer_log.write_text("".join(lines))


@pytest.fixture
def scene(account: Account, tmp_path: Path) -> Scene:
    folder, said = RunFolder(tmp_path / RUN), io.StringIO()
    folder.path.mkdir()
    identity = Identity(account.spec(name=RUN))
    job = Job(identity, account.cloud, folder, Narrator(said, folder.build_log), threading.Event(), {}, tmp_path)
    return Scene(account, Leftovers(job), said)


def test_its_own_unverified_private_image_is_a_leftover(scene: Scene) -> None:
    assert scene.left.include(scene.seen(scene.image()))
    assert scene.left.include(scene.seen(scene.image("half", {}, scene.identity.description)))


@pytest.mark.parametrize(
    "kept",
    [
        {"more": {STACK_ID: "another"}},
        {"tags": {}},
        {"more": {VERIFIED: "yes"}},
        {"more": {CLAIM: "5"}},
        {"described": True},
        {"share": {"GlobalPermission": True}},
        {"share": {"AccountIds": ["210987654321"]}},
        {"permissions": None},
    ],
    ids=["another stack's", "untagged", "verified", "claimed", "described", "public", "shared", "unknown access"],
)
def test_each_guard_alone_keeps_an_image(scene: Scene, kept: dict[str, Any]) -> None:
    tags = kept.get("tags", {**scene.identity.tags, **kept.get("more", {})})
    omi = scene.image(tags=tags, description=scene.identity.described(verified=True) if "described" in kept else "")
    if "share" in kept:
        scene.account.oapi.call("UpdateImage", ImageId=omi, PermissionsToLaunch={"Additions": kept["share"]})
    found = scene.seen(omi)
    if "permissions" in kept:
        found = found.model_copy(update={"permissions": None})
    assert not scene.left.include(found)


def test_a_working_image_goes_with_its_snapshot_and_one_that_is_kept_with_neither(scene: Scene) -> None:
    kept = scene.image(scene.working, {**scene.identity.tags, CLAIM: "5"})
    scene.left.remove(scene.working)
    assert scene.there() == {kept}
    scene.account.oapi.call("DeleteImage", ImageId=kept)
    before = scene.there("snapshot")
    working = scene.image(scene.working)
    other = scene.image()
    scene.left.remove(scene.working)
    assert scene.there() == {other}
    assert scene.there("snapshot") == before | set(scene.seen(other).snapshots), f"not that of {working}"
    scene.left.remove(scene.working)


def test_the_snapshot_of_a_working_image_stays_where_the_final_one_is_made_of_it(scene: Scene) -> None:
    working = scene.image(scene.working)
    (disk,) = scene.seen(working).snapshots
    final = scene.image(on=disk)
    scene.left.remove(scene.working)
    assert (scene.there(), scene.there("snapshot")) == ({final}, {disk})
    assert f"deregistered {working} ({scene.working})" in scene.said.getvalue()
    scene.left.remove(RUN)
    assert (scene.there(), scene.there("snapshot")) == (set(), set()), "the final one alone has nobody to spare it for"


def test_after_a_failure_all_of_the_build_goes_but_what_is_kept(scene: Scene) -> None:
    oapi = scene.account.oapi
    bystander = scene.image("alpine-3.23.5-x86_64-r0")
    final, working = scene.image(), scene.image(scene.working)
    assert scene.left.clean(scene.seen(final), (RUN, scene.working), ()) is True
    assert scene.there() == {final, bystander}, f"not {working}"
    assert scene.left.clean(None, (RUN,), ()) is True
    assert scene.there() == {bystander}
    assert scene.there("snapshot") == set(scene.seen(bystander).snapshots)
    oapi.call("CreateKeypair", KeypairName=scene.identity.build_key)
    oapi.call("CreateSecurityGroup", SecurityGroupName=scene.identity.group, Description="ours")
    assert scene.left.clean(None, (), ()) is True
    assert (scene.there("keypair"), scene.there("security-group")) == (set(), set())


def test_a_sweep_between_two_vms_leaves_the_group(scene: Scene) -> None:
    made = scene.account.oapi.call("CreateSecurityGroup", SecurityGroupName=scene.identity.group, Description="ours")
    image = scene.image()
    scene.left.sweep((), (), group=False)
    assert scene.there("security-group") == {made["SecurityGroup"]["SecurityGroupId"]}
    scene.left.sweep((), ())
    assert scene.there("security-group") == set()
    assert scene.there() == {image}, "what is there is verified, not removed"


def test_snapshots_of_earlier_and_logged_volumes_go_but_not_those_of_images_that_stay(scene: Scene) -> None:
    oapi = scene.account.oapi
    earlier, logged, other = (empty_volume(oapi) for _ in range(3))
    kept, claimed = snapshot(oapi, logged), snapshot(oapi, logged)
    gone, stays = [snapshot(oapi, earlier), snapshot(oapi, logged)], snapshot(oapi, other)
    keep = scene.image("kept", on=kept)
    held = scene.image(tags={**scene.identity.tags, CLAIM: "5"}, on=claimed)
    scene.logs(logged)
    scene.left.clean(scene.seen(keep), (RUN,), (earlier,))
    assert scene.there("snapshot") == {kept, claimed, stays}, f"not {gone}"
    assert scene.there() == {keep, held}


def test_what_a_list_hides_is_spared_by_what_was_seen_before(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    """The cloud's next list of images may lack one: its snapshot is spared by its id."""
    oapi = scene.account.oapi
    volume = empty_volume(oapi)
    kept, claimed, gone = (snapshot(oapi, volume) for _ in range(3))
    keep = scene.seen(scene.image("kept", on=kept))
    scene.image(tags={**scene.identity.tags, CLAIM: "5"}, on=claimed)
    monkeypatch.setattr("omi.outscale.sweep.own_omis", lambda *_: [])
    deleted: list[str] = []
    monkeypatch.setattr("omi.outscale.sweep.delete_snapshot", lambda _, each: deleted.append(each))
    scene.logs(volume)
    scene.left.clean(keep, (RUN,), ())
    assert deleted == [gone]


@pytest.mark.parametrize("broken", ["ReadImages", "ReadVms"])
def test_a_failed_clean_up_is_a_line_and_told_and_the_rest_goes_on(
    scene: Scene, monkeypatch: pytest.MonkeyPatch, broken: str
) -> None:
    scene.account.oapi.call("CreateKeypair", KeypairName=scene.identity.build_key)

    def fail(*_: Any) -> Any:
        raise CloudError("busy; run again")

    if broken == "ReadImages":
        monkeypatch.setattr("omi.build.leftovers.find_own", fail)
    else:
        monkeypatch.setattr("omi.build.leftovers.clean_up", fail)
    assert scene.left.clean(None, (RUN,), ()) is False
    assert "not cleaned: busy; run again" in scene.said.getvalue()
    assert bool(scene.there("keypair")) is (broken == "ReadVms")


def test_a_vm_by_the_builds_keypair_goes_before_it_has_tags_and_no_other_builds_does(scene: Scene) -> None:
    oapi, other = scene.account.oapi, Identity(scene.account.spec(name=f"{RUN}1"))
    for name in (scene.identity.build_key, other.build_key):
        oapi.call("CreateKeypair", KeypairName=name)
    own, foreign = (launch(oapi, KeypairName=each.build_key) for each in (scene.identity, other))
    put_tags(scene.account.cloud, [foreign], other.run_tags)
    assert scene.left.clean(None, (), ()) is True
    assert (state_of(oapi, own), state_of(oapi, foreign)) == ("terminated", "running")


def test_the_private_key_of_a_run_goes_with_the_rest(scene: Scene) -> None:
    key = scene.left.job.folder.path / f"{scene.identity.build_key}.pem"
    key.write_text("secret")
    scene.left.clean(None, (), ())
    assert not key.exists()


def test_a_missing_image_or_one_of_another_name_is_left_to_itself(scene: Scene) -> None:
    assert find_own(scene.account.cloud, RUN) is None
    scene.left.remove(RUN)
    other = scene.image(f"{RUN}-2")
    scene.left.remove(RUN)
    assert scene.left.clean(None, (RUN, scene.working), ()) is True
    assert scene.there() == {other}
