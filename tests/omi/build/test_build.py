"""A build of a new image: what it leaves, and what it does when something fails."""

from __future__ import annotations

import hashlib
import json
import re
import threading
from collections.abc import Callable
from typing import Any

import pytest

from omi.build import leftovers
from omi.build.packer.inputs import RunFolder
from omi.build.packer.maker import TRIES
from omi.outscale.images import find_own, put_tags, read_omi
from omi.outscale.sweep import clean_up
from omi.outscale.waiting import InterruptedBuildError
from omi.profile.model import Access
from omi.publish.documents.kinds import SUFFIXES, file_name
from omi.state.identity import Identity
from omi.state.image import ImageRecord, ImageSpec
from omi.support.errors import BuildError, CloudError, VerifyError
from tests.omi.build.parts import PUBLIC, Bench, bench
from tests.omi.conftest import Account
from tests.omi.specs import remade
from tests.sandbox.client import launch, make_subnet, own_range, register, wait_for

__all__ = ["bench"]


def test_a_build_leaves_one_verified_tagged_image_and_nothing_else(bench: Bench) -> None:
    spec = bench.account.spec(access=Access(public=True, accounts=(bench.account.other_id,)))
    record = bench.build(spec)
    assert bench.account.left() == {"image": [record.omi]}
    assert (record.verified, record.adopted, record.boot_seconds) == (True, False, 7)
    assert (record.account, record.used_bytes, record.packages) == (bench.account.id, 94000000, 46)
    assert (record.trimmed_bytes, record.installed_bytes) == (147000000, 83000000)
    assert record.installed == ("busybox=1.37.0-r30", "musl=1.2.5-r23")
    assert record.boot_modes == ("legacy",)
    found = find_own(bench.account.cloud, spec.name)
    assert found is not None
    assert found.bears(Identity(spec).tags)
    assert bench.launchers == [set()], "nobody launches what isn't verified"
    assert bench.account.launchers(record.omi) == {bench.account.other_id, "all"}
    assert not list((bench.folder / spec.name).glob("alpine-omi-*")), "a private key was left"


def test_a_quota_that_is_used_up_is_told_and_the_next_run_builds(bench: Bench) -> None:
    sandbox = bench.account.sandbox
    other = launch(bench.account.oapi)
    sandbox.control("PUT", "quotas", {"vm_limit": 1})
    told = (
        r"400 Bad Request \(CreateVms: TooManyResources .QuotaExceded. \(10010\): .*\); used up: vm_limit \(1 of 1\); "
        "the account's quota is used up: remove what is not needed"
    )
    with pytest.raises(BuildError, match=told):
        bench.build(bench.account.spec())
    bench.account.oapi.call("DeleteVms", VmIds=[other])
    assert wait_for(bench.account.left, lambda left: not left) == {}
    sandbox.control("PUT", "quotas", {})
    record = bench.build(bench.account.spec())
    assert bench.account.left() == {"image": [record.omi]}


def test_a_refusal_within_packer_is_told_with_code_and_cure(bench: Bench) -> None:
    full = {"status": 400, "code": "10001", "type": "InsufficientCapacity", "details": "No room for tinav6.c2r4p2."}
    bench.account.sandbox.control("POST", "faults", {"action": "CreateVms", **full})
    told = r"400 Bad Request \(CreateVms: InsufficientCapacity \(10001\): No room for tinav6.c2r4p2.\); .*vm\.subregion"
    with pytest.raises(BuildError, match=told):
        bench.build(bench.account.spec())
    assert bench.account.left() == {}


def test_a_right_that_packer_lacks_is_told_as_the_policys(bench: Bench) -> None:
    allowed = {"Effect": "Allow", "Action": ["*"], "Resource": ["*"]}
    denied = {"Effect": "Deny", "Action": ["api:CreateSnapshot"], "Resource": ["*"]}
    bench.account.sandbox.control("PUT", "policies", {"main": {"Statement": [allowed, denied]}})
    with pytest.raises(BuildError, match=r"may not call api:CreateSnapshot at .*docs/eim-policy\.json"):
        bench.build(bench.account.spec())


def test_a_call_that_no_build_needs_is_refused_and_told(bench: Bench) -> None:
    bench.packer.behave("greedy")
    with pytest.raises(BuildError, match=r"403 Forbidden \(ReadAccessKeys: AccessDenied: no build needs this call"):
        bench.build(bench.account.spec())


def test_the_vms_are_where_the_subregion_says(bench: Bench) -> None:
    vm = bench.account.spec().vm.model_copy(update={"subregion": "eu-west-2b"})
    bench.build(bench.account.spec(vm=vm))
    (made,) = bench.account.sandbox.oapi().call("ReadVms")["Vms"]
    assert made["Placement"]["SubregionName"] == "eu-west-2b"


def test_in_a_subnet_the_vm_and_its_group_are_in_its_net_and_nothing_is_left(bench: Bench) -> None:
    account = bench.account
    _, subnet = make_subnet(account.oapi, own_range(account.sandbox.settings.addresses), SubregionName="eu-west-2b")
    record = bench.build(account.spec(vm=account.spec().vm.model_copy(update={"subnet": subnet})))
    assert account.left() == {"image": [record.omi]}
    (vm,) = account.oapi.call("ReadVms")["Vms"]
    assert vm["Placement"]["SubregionName"] == "eu-west-2b"
    asked = {call["action"]: call["request"] for call in account.sandbox.control("GET", "calls")}
    assert asked["CreateVms"]["SubnetId"] == subnet
    (found,) = account.oapi.call("ReadSubnets")["Subnets"]
    assert asked["CreateSecurityGroup"]["NetId"] == found["NetId"]


def test_nothing_is_made_for_a_subnet_that_is_not_there(bench: Bench) -> None:
    vm = bench.account.spec().vm.model_copy(update={"subnet": "subnet-00000000"})
    with pytest.raises(CloudError, match=r"^vm\.subnet: subnet-00000000 is not there in Region eu-west-2 for account"):
        bench.build(bench.account.spec(vm=vm))
    assert bench.account.left() == {}


def interrupt_while_it_is_pending(bench: Bench, then: Callable[[], None]) -> None:
    """Set `stop` once the build's OMI is there and stays pending; `then` is done when that is waited for."""
    bench.account.sandbox.control("POST", "faults", {"resource": "image", "state": "pending", "times": -1})

    def own() -> bool:
        oapi = bench.account.sandbox.oapi()
        return bool(oapi.call("ReadImages", Filters={"AccountIds": [bench.account.id]})["Images"])

    def interrupt() -> None:
        wait_for(own, bool)
        bench.stop.set()
        wait_for(bench.said.getvalue, lambda said: "to leave state pending" in said)
        then()

    threading.Thread(target=interrupt, daemon=True).start()


def test_an_omi_that_stays_pending_after_an_interruption_is_waited_for_with_words_and_removed(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("omi.outscale.waiting.QUIET", 0)
    interrupt_while_it_is_pending(bench, lambda: bench.account.sandbox.control("DELETE", "faults"))
    with pytest.raises(InterruptedBuildError, match="interrupted; what it had made is removed"):
        bench.build(bench.account.spec())
    assert "ending Packer, which has 1 s to clean up" in bench.said.getvalue()
    assert re.search(r"waiting for ami-\w+ to leave state pending, at most 600 s", bench.said.getvalue())
    assert bench.account.left() == {}


def test_one_that_stays_pending_for_too_long_is_told_and_left_to_the_next_build(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("omi.outscale.waiting.QUIET", 0)
    interrupt_while_it_is_pending(bench, lambda: None)
    limits = bench.account.cloud.limits.model_copy(update={"image": 1, "in_use": 1})
    monkeypatch.setattr(bench.account.cloud, "access", bench.account.access.model_copy(update={"limits": limits}))
    with pytest.raises(InterruptedBuildError, match="may be there: the next build or `python -m omi sweep` removes it"):
        bench.build(bench.account.spec())
    assert "not cleaned: waited 1 s for ami-" in bench.said.getvalue()
    bench.account.sandbox.control("DELETE", "faults")
    bench.stop.clear()
    record = bench.build(bench.account.spec())
    assert bench.account.left() == {"image": [record.omi]}


def test_a_last_sweep_that_fails_is_tried_once_more(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    sweeps: list[object] = []

    def busy_at_the_end(*arguments: Any, **named: Any) -> None:
        sweeps.append(arguments)
        if len(sweeps) == 3:  # before Packer, after it, and at the end
            raise CloudError("the cloud is busy")
        clean_up(*arguments, **named)

    monkeypatch.setattr(leftovers, "clean_up", busy_at_the_end)
    record = bench.build(bench.account.spec())
    assert bench.account.left() == {"image": [record.omi]}
    assert len(sweeps) == 4
    assert "not cleaned" not in bench.said.getvalue()


@pytest.mark.slow
@pytest.mark.parametrize("when", ["busy", "busy late"])  # the later one leaves an OMI, which uses its snapshot
def test_packer_begins_again_when_the_cloud_was_only_busy(bench: Bench, when: str) -> None:
    bench.packer.behave(when)
    record = bench.build(bench.account.spec())
    assert bench.account.left() == {"image": [record.omi]}, "what the first run left is gone"
    assert "503 Service Unavailable: Packer begins again" in bench.said.getvalue()


@pytest.mark.slow
def test_packer_is_not_begun_again_for_ever(bench: Bench) -> None:
    bench.packer.behave("always busy")
    with pytest.raises(BuildError, match=r"503 Service Unavailable; see .*packer\.log"):
        bench.build(bench.account.spec())
    assert bench.account.left() == {}
    assert bench.said.getvalue().count("Packer begins again") == TRIES - 1


def with_firmware(account: Account, firmware: str) -> ImageSpec:
    spec = account.spec()
    return remade(spec, firmware=firmware)


@pytest.mark.parametrize(("firmware", "modes"), [("uefi", ("uefi",)), ("hybrid", ("legacy", "uefi"))])
def test_a_plugin_that_knows_no_boot_modes_is_made_up_for(bench: Bench, firmware: str, modes: tuple[str, ...]) -> None:
    bench.packer.has_plugin("1.0.2")
    spec = with_firmware(bench.account, firmware)
    record = bench.build(spec)
    assert (record.name, record.boot_modes) == (spec.name, modes)
    made = read_omi(bench.account.cloud, record.omi)
    assert made is not None
    assert made.boot_modes == modes
    (device,) = bench.account.image(record.omi)["BlockDeviceMappings"]
    assert (device["Bsu"]["VolumeSize"], device["Bsu"]["DeleteOnVmDeletion"]) == (spec.target.volume_size, True)
    assert ImageRecord.from_json(record.to_json(), "it") == record
    assert bench.account.left() == {"image": [record.omi]}, "the one under the working name is gone"


def test_what_packer_registered_under_a_working_name_and_a_killed_run_left_is_removed(bench: Bench) -> None:
    bench.packer.has_plugin("1.0.2")
    spec = with_firmware(bench.account, "uefi")
    identity = Identity(spec)
    left = bench.account.register(f"{spec.name}-{identity.build_id}", identity.description)
    record = bench.build(spec)
    assert left != record.omi
    assert bench.account.left() == {"image": [record.omi]}


@pytest.mark.parametrize("complete", [True, False], ids=["tagged already", "without tags yet"])
def test_an_image_that_a_power_loss_left_under_both_of_its_names_is_one_again(bench: Bench, complete: bool) -> None:
    spec = bench.account.spec()
    identity = Identity(spec)
    working = bench.account.register(f"{spec.name}-{identity.build_id}", identity.description, dict(identity.tags))
    left = find_own(bench.account.cloud, f"{spec.name}-{identity.build_id}")
    assert left is not None
    oapi = bench.account.sandbox.oapi()
    final = register(oapi, spec.name, left.snapshots[0], Description=identity.description)
    if complete:
        put_tags(bench.account.cloud, [final], identity.tags)
    folder = RunFolder(bench.folder / spec.name)
    folder.manifest.parent.mkdir(parents=True)
    folder.manifest.write_text(json.dumps({"builds": [{"artifact_id": f"eu-west-2:{final}"}]}))
    folder.packer_log.write_text("    outscale-bsusurrogate.alpine: guest: FACT end=yes\n")
    record = bench.build(spec)
    assert (record.omi == final) is complete
    assert record.snapshots == left.snapshots or not complete
    assert bench.account.left() == {"image": [record.omi]}, f"not {working}"
    held = bench.account.sandbox.control("GET", "inventory")["main"]["resources"]["snapshot"]
    assert {each["id"] for each in held} == set(record.snapshots)


def test_a_second_build_of_its_name_leaves_the_snapshot_of_a_verified_image_that_somebody_deregistered(
    bench: Bench,
) -> None:
    first = bench.build(bench.account.spec())
    bench.account.oapi.call("DeleteImage", ImageId=first.omi)
    second = bench.build(bench.account.spec())
    held = bench.account.sandbox.control("GET", "inventory")["main"]["resources"]["snapshot"]
    assert {each["id"] for each in held} == {*first.snapshots, *second.snapshots}


def test_an_image_with_other_boot_modes_than_its_firmware_is_refused(bench: Bench) -> None:
    spec = with_firmware(bench.account, "uefi")
    with pytest.raises(BuildError, match=r"was registered with the boot modes legacy instead of uefi; see"):
        bench.build(spec)
    assert bench.account.left() == {}


def test_what_went_in_is_written_out_and_recorded_by_its_digests(bench: Bench) -> None:
    spec = bench.account.spec()
    record = bench.build(spec)
    folder = bench.folder / spec.name / "documents"
    digests = {path.name: "sha256:" + hashlib.sha256(path.read_bytes()).hexdigest() for path in folder.iterdir()}
    assert record.documents == {kind: digests.pop(file_name(spec.name, kind)) for kind in SUFFIXES}
    assert not digests
    told = json.loads((folder / file_name(spec.name, "provenance")).read_text())
    assert told["image"]["omi"] == record.omi
    assert told["source_omi"]["omi"].startswith("ami-")
    assert bench.build(spec).documents == record.documents, "also of an orphan that was built here"


def test_an_image_of_which_nothing_is_told_is_not_kept(bench: Bench) -> None:
    bench.packer.behave("mute")
    with pytest.raises(BuildError, match=r"output/packages: names no package; build again"):
        bench.build(bench.account.spec())
    assert bench.account.left() == {}


def test_an_orphan_that_was_built_elsewhere_has_no_documents(bench: Bench) -> None:
    spec = bench.account.spec()
    bench.build(spec)
    (bench.folder / spec.name / "manifest.json").unlink()
    record = bench.build(spec)
    assert (record.verified, record.documents) == (True, None)
    assert "its content is unknown here, so it gets no list of packages and no SBOM" in bench.said.getvalue()


def test_what_packer_leaves_though_it_succeeded_is_swept(bench: Bench) -> None:
    bench.packer.behave("leaky")
    record = bench.build(bench.account.spec())
    assert bench.account.left() == {"image": [record.omi]}


@pytest.mark.parametrize("mode", ["fail", "half"])
def test_a_failed_build_leaves_nothing_and_says_why(bench: Bench, mode: str) -> None:
    bench.packer.behave(mode)
    with pytest.raises(BuildError, match=r"no disk to build on; see .*packer\.log"):
        bench.build(bench.account.spec())
    assert bench.account.left() == {}


def test_an_image_that_fails_its_check_is_removed(bench: Bench) -> None:
    bench.failure = VerifyError("the root did not grow")
    with pytest.raises(VerifyError, match="did not grow"):
        bench.build(bench.account.spec())
    assert bench.account.left() == {}


def refuse_to_share(bench: Bench, *, after: bool = False) -> None:
    """Answer the next sharing by an error, before or after it is done."""
    refused = {"action": "UpdateImage", "status": 403, "code": "OperationNotPermitted", "after": after}
    bench.account.sandbox.control("POST", "faults", {**refused, "details": "you may not"})


def test_a_refused_share_leaves_a_verified_private_image_that_the_next_run_shares(bench: Bench) -> None:
    spec = bench.account.spec(access=PUBLIC)
    refuse_to_share(bench)
    with pytest.raises(BuildError) as raised:
        bench.build(spec)
    said = str(raised.value)
    assert "\n" not in said
    assert "could not be shared with everyone: " in said
    assert "OperationNotPermitted you may not" in said
    assert "is verified and stays private; the next `pulumi up` shares it and takes it in" in said
    (left,) = bench.account.left()["image"]
    assert bench.account.left() == {"image": [left]}
    assert bench.account.launchers(left) == set()
    record = bench.build(spec)
    assert (record.omi, record.verified) == (left, True)
    assert bench.account.launchers(left) == {"all"}


def test_a_share_whose_answer_is_lost_is_no_failure(bench: Bench) -> None:
    refuse_to_share(bench, after=True)
    record = bench.build(bench.account.spec(access=PUBLIC))
    assert bench.account.launchers(record.omi) == {"all"}


def test_a_build_vm_that_ends_is_not_waited_for(bench: Bench) -> None:
    bench.packer.behave("lost")
    with pytest.raises(BuildError, match=r"the build VM i-[0-9a-f]+ is (terminated|shutting-down); see"):
        bench.build(bench.account.spec())
    assert bench.account.left() == {}


@pytest.mark.slow
def test_a_packer_that_hangs_meets_the_limit(bench: Bench) -> None:
    bench.packer.behave("deaf")
    spec = bench.account.spec()
    spec = remade(spec, vm=spec.vm.model_copy(update={"timeout": 3}))
    with pytest.raises(BuildError, match=r"longer than 3 s \(vm.timeout\)"):
        bench.build(spec)
    assert bench.account.left() == {}
