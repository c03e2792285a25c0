"""The Subnet of a stack's VMs: one line says why none can be put there, and it says how they are reached."""

from __future__ import annotations

import re

import pytest

from omi.outscale.client import Cloud
from omi.outscale.entry import find_groups, open_group, ssh_source
from omi.outscale.shapes import CloudSubnet
from omi.outscale.subnets import find_subnet
from omi.outscale.vms import Launch, launch_vm, terminate_vm, wait_running
from omi.state.image import BuildVm
from omi.support.errors import CloudError
from tests.sandbox.client import Oapi, Sandbox, launch, make_subnet, own_range, source_image

CURE = "set vm.subnet to a Subnet that has room in that account, Region and Subregion, or take it out"


def problem(cloud: Cloud, vm: BuildVm) -> str:
    with pytest.raises(CloudError) as raised:
        find_subnet(cloud, vm)
    return str(raised.value)


def test_one_that_no_vm_can_be_put_into(cloud: Cloud, client: Oapi, sandbox: Sandbox) -> None:
    _, small = make_subnet(client, "10.0.0.0/29")
    _, theirs = make_subnet(sandbox.oapi("second"), "10.0.0.0/24")
    assert find_subnet(cloud, BuildVm()) is None
    assert find_subnet(cloud, BuildVm(subnet=small, subregion="eu-west-2a")) is not None
    told = problem(cloud, BuildVm(subnet=theirs))
    assert told == f"vm.subnet: {theirs} is not there in Region eu-west-2 for account {cloud.account}: {CURE}"
    told = problem(cloud, BuildVm(subnet=small, subregion="eu-west-2b"))
    assert told == f"vm.subnet: {small} is in Subregion eu-west-2a, and vm.subregion is eu-west-2b: {CURE}"
    launch(client, SubnetId=small, MinVmsCount=3, MaxVmsCount=3)
    assert problem(cloud, BuildVm(subnet=small)) == f"vm.subnet: {small} has no free address in 10.0.0.0/29: {CURE}"
    pending = {"SubnetId": small, "NetId": "vpc-00000000", "IpRange": "10.0.0.0/29", "State": "pending"}
    sandbox.control("POST", "faults", {"action": "ReadSubnets", "body": f'{{"Subnets": [{to_json(pending)}]}}'})
    assert problem(cloud, BuildVm(subnet=small)) == f"vm.subnet: {small} is pending: {CURE}"


def to_json(value: dict[str, str]) -> str:
    return str(value).replace("'", '"')


def test_a_vm_in_one_is_ready_at_its_private_address(cloud: Cloud, client: Oapi, sandbox: Sandbox) -> None:
    net, subnet = make_subnet(client, own_range(sandbox.settings.addresses))
    found = find_subnet(cloud, BuildVm(subnet=subnet))
    assert isinstance(found, CloudSubnet)
    group = open_group(cloud, "g", 2222, ssh_source("auto", cloud.access.api, found), found)
    (made,) = client.call("ReadSecurityGroups", Filters={"SecurityGroupIds": [group]})["SecurityGroups"]
    assert (made["NetId"], made["InboundRules"][0]["IpRanges"]) == (net, ["127.0.0.1/32"])
    assert find_groups(cloud, "g") == [group]
    client.call("CreateKeypair", KeypairName="k")
    vm = launch_vm(
        cloud, Launch(source_image(client), "tinav6.c1r1p2", "k", group, "/dev/sda1", 20, {"a": "b"}, subnet=subnet)
    )
    running = wait_running(cloud, vm, 10)
    assert (running.address, running.public_ip) == (running.private_ip, "")
    assert re.fullmatch(r"127\.[0-9.]+\.4", running.address)
    terminate_vm(cloud, vm)


def test_the_own_address_counts_on_the_way_into_a_subnet_though_it_is_private(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("omi.outscale.entry.own_address", {"https://10.0.0.128": "10.0.0.9"}.__getitem__)
    subnet = CloudSubnet.model_validate({"SubnetId": "subnet-1", "NetId": "vpc-1", "IpRange": "10.0.0.0/24"})
    assert ssh_source("auto", "https://api.test", subnet) == "10.0.0.9/32"
