"""A whole update whose VMs are in a Subnet: by the real Packer and plugin, and the real verify, on stub VMs."""

from __future__ import annotations

import pytest

from sandbox.config import Addresses
from tests.e2e.project import Project
from tests.sandbox.client import make_subnet, own_range

pytestmark = pytest.mark.slow


def test_a_build_in_a_subnet_makes_no_public_address_and_leaves_nothing(stub_project: Project) -> None:
    project = stub_project
    oapi = project.oapi()
    net, subnet = make_subnet(oapi, own_range(Addresses(project.base_port)))
    vm = project.configured("vm")
    project.configure("vm", {**vm, "subnet": "subnet-00000000"})
    refused = project.pulumi("preview", "-s", "e2e")
    assert refused.code != 0
    assert "vm.subnet: subnet-00000000 is not there in Region eu-west-2" in refused.text
    project.configure("vm", {**vm, "subnet": subnet})
    done = project.up()
    assert done.code == 0, done.end
    calls = project.control("calls")
    launched = [call["request"]["SubnetId"] for call in calls if call["action"] == "CreateVms"]
    assert launched == [subnet, subnet], "the build's and the check's"
    assert not {"CreatePublicIp", "LinkPublicIp"} & {call["action"] for call in calls}
    vms = oapi.call("ReadVms")["Vms"]
    assert {each["State"] for each in vms} == {"terminated"}
    assert project.left() == {}
    assert len(project.images()) == 1
    oapi.call("DeleteSubnet", SubnetId=subnet)
    oapi.call("DeleteNet", NetId=net)
    project.configure("vm", vm)
    assert project.pulumi("destroy", "--yes", "--skip-preview", "-s", "e2e").code == 0
    assert project.images() == []
