"""Faults on request: calls by face, account and Region, answers that never come, states that hold."""

from __future__ import annotations

import http.client
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from sandbox.config import SSH_PORT
from tests.sandbox.client import (
    Oapi,
    Refused,
    Sandbox,
    empty_volume,
    launch,
    register,
    settings_for,
    snapshot,
    source_image,
    state_of,
    wait_for,
    wait_state,
)


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sandbox]:
    made = Sandbox(settings_for(tmp_path_factory.mktemp("faults")))
    yield made
    made.close()


@pytest.fixture
def sandbox(shared: Sandbox) -> Iterator[Sandbox]:
    yield shared
    shared.control("DELETE", "faults")


@pytest.fixture
def oapi(sandbox: Sandbox) -> Oapi:
    return sandbox.oapi()


def names(oapi: Oapi) -> list[str]:
    return [pair["KeypairName"] for pair in oapi.call("ReadKeypairs")["Keypairs"]]


@pytest.mark.parametrize("after", [False, True])
def test_a_cut_connection_gives_no_answer_and_the_deed_is_done_if_it_says_so(
    sandbox: Sandbox, oapi: Oapi, after: bool
) -> None:
    sandbox.control("POST", "faults", {"action": "CreateKeypair", "cut": True, "after": after})
    with pytest.raises((http.client.RemoteDisconnected, ConnectionError)):
        oapi.call("CreateKeypair", KeypairName=f"cut-{after}")
    assert (f"cut-{after}" in names(oapi)) is after


def test_a_hanging_call_is_let_go_without_an_answer_when_the_faults_are_removed(sandbox: Sandbox, oapi: Oapi) -> None:
    sandbox.control("POST", "faults", {"action": "ReadVolumes", "hang": True})
    with socket.create_connection(("127.0.0.1", sandbox.settings.addresses.plain_port), timeout=5) as link:
        # any client will do: signed by the key, over the plain port
        from tests.sandbox.client import osc4_headers

        path, body = "/api/v1/ReadVolumes", b"{}"
        headers = osc4_headers(oapi.profile, "127.0.0.1", path, body)
        lines = [f"POST {path} HTTP/1.1", *(f"{name}: {value}" for name, value in headers.items()), "Content-Length: 2"]
        link.sendall("\r\n".join([*lines, "", "{}"]).encode())
        link.settimeout(0.3)
        with pytest.raises(TimeoutError):
            link.recv(1)
        sandbox.control("DELETE", "faults")
        link.settimeout(5)
        assert link.recv(1) == b""


def test_a_wrong_body_comes_with_a_good_status(sandbox: Sandbox, oapi: Oapi) -> None:
    sandbox.control("POST", "faults", {"action": "ReadVms", "body": "<html>busy</html>"})
    with pytest.raises(ValueError, match="Expecting value"):
        oapi.call("ReadVms")
    assert oapi.call("ReadVolumes")["Volumes"] == []


def test_one_answer_lacks_an_image_and_the_next_has_it_again(sandbox: Sandbox, oapi: Oapi) -> None:
    kept, lacked = (register(oapi, name, snapshot(oapi, empty_volume(oapi))) for name in ("kept", "lacked"))
    oapi.call("CreateTags", ResourceIds=[kept, lacked], Tags=[{"Key": "seen", "Value": "yes"}])

    def images(**filters: Any) -> set[str]:
        return {each["ImageId"] for each in oapi.call("ReadImages", Filters=filters)["Images"]}

    def tagged() -> set[str]:
        return {each["ResourceId"] for each in oapi.call("ReadTags", Filters={"Keys": ["seen"]})["Tags"]}

    for action in ("ReadImages", "ReadTags"):
        sandbox.control("POST", "faults", {"action": action, "omit": [lacked], "profile": "main"})
    assert images(ImageNames=["kept"]) == {kept}, "an answer that would not have it is not a strike"
    assert (images(TagKeys=["seen"]), images(TagKeys=["seen"])) == ({kept}, {kept, lacked})
    assert (tagged(), tagged()) == ({kept}, {kept, lacked})
    with pytest.raises(AssertionError, match="omit goes with an action alone"):
        sandbox.control("POST", "faults", {"action": "ReadImages", "omit": [lacked], "status": 503})


@pytest.mark.parametrize(
    ("only", "struck"),
    [
        ({"region": "us-east-2"}, ["main-us", "second-us"]),
        ({"profile": "second"}, ["second"]),
        ({"face": "oos"}, []),
        ({"face": "oapi", "region": "eu-west-2"}, ["main", "second"]),
    ],
)
def test_a_fault_is_for_one_region_account_or_face(sandbox: Sandbox, only: dict[str, str], struck: list[str]) -> None:
    sandbox.control("PUT", "faults", {"action": "ReadVms", "status": 503, "times": -1, **only})
    refused = []
    for profile in sandbox.profiles:
        try:
            sandbox.oapi(profile).call("ReadVms")
        except Refused:
            refused.append(profile)
    assert refused == struck


def test_states_strike_one_account_only(sandbox: Sandbox, oapi: Oapi) -> None:
    sandbox.control("POST", "faults", {"resource": "snapshot", "state": "error", "profile": "second"})
    assert snapshot(oapi, empty_volume(oapi))
    second = sandbox.oapi("second")
    wrong = second.call("CreateSnapshot", VolumeId=empty_volume(second))["Snapshot"]["SnapshotId"]
    wait_state(second, wrong, "error")


def make_snapshot(oapi: Oapi) -> str:
    return str(oapi.call("CreateSnapshot", VolumeId=empty_volume(oapi))["Snapshot"]["SnapshotId"])


def make_image(oapi: Oapi) -> str:
    device = {"DeviceName": "/dev/sda1", "Bsu": {"SnapshotId": snapshot(oapi, empty_volume(oapi))}}
    answer = oapi.call("CreateImage", ImageName="stuck", RootDeviceName="/dev/sda1", BlockDeviceMappings=[device])
    return str(answer["Image"]["ImageId"])


def make_vm(oapi: Oapi) -> str:
    return str(oapi.call("CreateVms", ImageId=source_image(oapi))["Vms"][0]["VmId"])


def end_vm(oapi: Oapi) -> str:
    vm = launch(oapi)
    oapi.call("DeleteVms", VmIds=[vm])
    return vm


def stop_vm(oapi: Oapi) -> str:
    vm = launch(oapi)
    oapi.call("StopVms", VmIds=[vm])
    return vm


@pytest.mark.parametrize(
    ("resource", "state", "make", "end"),
    [
        ("snapshot", "in-queue", make_snapshot, "completed"),
        ("snapshot", "pending", make_snapshot, "completed"),
        ("image", "pending", make_image, "available"),
        ("vm", "pending", make_vm, "running"),
        ("vm", "stopping", stop_vm, "stopped"),
        ("vm", "shutting-down", end_vm, "terminated"),
    ],
)
def test_what_is_stuck_goes_on_when_the_faults_are_removed(
    sandbox: Sandbox, oapi: Oapi, resource: str, state: str, make: Any, end: str
) -> None:
    sandbox.control("POST", "faults", {"resource": resource, "state": state, "profile": "main"})
    made = make(oapi)
    wait_for(lambda: sandbox.server.cloud.faults.current()[0].times, lambda left: left == 0)
    assert state_of(oapi, made) == state
    sandbox.control("DELETE", "faults")
    wait_state(oapi, made, end)


def open_vm(oapi: Oapi, name: str) -> str:
    """A VM that SSH may reach, as far as its group goes; its address."""
    group = oapi.call("CreateSecurityGroup", SecurityGroupName=name, Description="for SSH")["SecurityGroup"]
    rule = {"FromPortRange": SSH_PORT, "ToPortRange": SSH_PORT, "IpProtocol": "tcp", "IpRanges": ["127.0.0.1/32"]}
    oapi.call("CreateSecurityGroupRule", SecurityGroupId=group["SecurityGroupId"], Flow="Inbound", Rules=[rule])
    vm = launch(oapi, SecurityGroupIds=[group["SecurityGroupId"]])
    return str(oapi.call("ReadVms", Filters={"VmIds": [vm]})["Vms"][0]["PublicIp"])


def test_ssh_can_be_closed_or_silent(sandbox: Sandbox, oapi: Oapi) -> None:
    sandbox.control("POST", "faults", [{"resource": "ssh", "state": "closed"}, {"resource": "ssh", "state": "silent"}])
    closed, silent, good = (open_vm(oapi, name) for name in ("one", "two", "three"))
    with socket.create_connection((good, SSH_PORT), timeout=5) as link:
        assert link.recv(4) == b"SSH-"
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection((closed, SSH_PORT), timeout=5)
    with socket.create_connection((silent, SSH_PORT), timeout=5) as link:
        link.settimeout(0.3)
        with pytest.raises(TimeoutError):
            link.recv(4)


def test_the_metadata_can_lack_the_key_or_have_it_late(sandbox: Sandbox, oapi: Oapi) -> None:
    oapi.call("CreateKeypair", KeypairName="mine")
    key = "meta-data/public-keys/0/openssh-key"

    def entries(vm: str) -> dict[str, bytes]:
        return sandbox.machines.vms[vm].metadata.entries

    late = {"resource": "metadata", "state": "late", "delay": 0.3}
    sandbox.control("POST", "faults", [{"resource": "metadata", "state": "no-key"}, late])
    lacking, slow = launch(oapi, KeypairName="mine"), launch(oapi, KeypairName="mine")
    wait_for(lambda: entries(slow), lambda shown: key in shown)
    oapi.call("CreateTags", ResourceIds=[lacking], Tags=[{"Key": "shown", "Value": "again"}])
    wait_for(lambda: entries(lacking), lambda shown: "meta-data/tags/shown" in shown)
    assert key not in entries(lacking)


def test_extra_accounts_are_apart_from_each_other(tmp_path: Path) -> None:
    from dataclasses import replace

    made = Sandbox(replace(settings_for(tmp_path / "home"), extra_accounts=2))
    try:
        one, two = made.oapi("extra-1"), made.oapi("extra-2")
        image = register(one, "mine", snapshot(one, empty_volume(one)))
        assert state_of(one, image) == "available"
        assert state_of(two, image) == "gone"
    finally:
        made.close()
