"""Nets and Subnets: what may be in them, and how VMs in them are reached."""

from __future__ import annotations

import socket
from typing import Any

import pytest

from tests.sandbox.client import (
    Oapi,
    Refused,
    Sandbox,
    launch,
    make_subnet,
    own_range,
    source_image,
    wait_for,
    wait_state,
)
from tests.sandbox.fakes import BANNER

SSH = 2222
RULE = {"IpProtocol": "tcp", "FromPortRange": SSH, "ToPortRange": SSH, "IpRanges": ["127.0.0.1/32"]}


def code_of(oapi: Oapi, action: str, **parameters: Any) -> str:
    with pytest.raises(Refused) as refused:
        oapi.call(action, **parameters)
    return str(refused.value.code)


def subnet_of(oapi: Oapi, subnet: str) -> Any:
    (found,) = oapi.call("ReadSubnets", Filters={"SubnetIds": [subnet]})["Subnets"]
    return found


def test_a_vm_in_a_subnet_has_a_private_address_alone_and_is_reached_there(oapi: Oapi, sandbox: Sandbox) -> None:
    net, subnet = make_subnet(oapi, own_range(sandbox.settings.addresses))
    group = oapi.call("CreateSecurityGroup", NetId=net, SecurityGroupName="g", Description="d")["SecurityGroup"]
    oapi.call("CreateSecurityGroupRule", SecurityGroupId=group["SecurityGroupId"], Flow="Inbound", Rules=[RULE])
    free = subnet_of(oapi, subnet)["AvailableIpsCount"]
    made = launch(oapi, SubnetId=subnet, SecurityGroupIds=[group["SecurityGroupId"]])
    (vm,) = oapi.call("ReadVms", Filters={"SubnetIds": [subnet], "NetIds": [net]})["Vms"]
    assert (vm["VmId"], vm["NetId"], vm["SubnetId"]) == (made, net, subnet)
    assert vm["Placement"]["SubregionName"] == subnet_of(oapi, subnet)["SubregionName"]
    assert not {"PublicIp", "PublicDnsName"} & vm.keys()
    assert subnet_of(oapi, subnet)["AvailableIpsCount"] == free - 1
    with socket.create_connection((vm["PrivateIp"], SSH), timeout=10) as way:
        assert way.recv(64) == BANNER
    oapi.call("DeleteVms", VmIds=[made])
    wait_state(oapi, made, "terminated")
    assert subnet_of(oapi, subnet)["AvailableIpsCount"] == free


def test_a_range_that_is_not_this_machines_leads_nowhere(oapi: Oapi, sandbox: Sandbox) -> None:
    _, subnet = make_subnet(oapi, "10.0.0.0/24")
    made = launch(oapi, SubnetId=subnet)
    (vm,) = oapi.call("ReadVms", Filters={"VmIds": [made]})["Vms"]
    assert vm["PrivateIp"] == "10.0.0.4"
    metadata = sandbox.machines.vms[made].metadata.entries
    assert metadata["meta-data/local-ipv4"] == b"10.0.0.4"
    assert "meta-data/public-ipv4" not in metadata


def test_what_does_not_fit_is_refused(oapi: Oapi) -> None:
    net, subnet = make_subnet(oapi, "10.0.0.0/29")
    image = source_image(oapi)
    outside = oapi.call("CreateSecurityGroup", SecurityGroupName="g", Description="d")["SecurityGroup"]
    inside = oapi.call("CreateSecurityGroup", SecurityGroupName="g", Description="d", NetId=net)["SecurityGroup"]
    groups = [each["SecurityGroupId"] for each in (outside, inside)]
    assert code_of(oapi, "CreateNet", IpRange="10.0.0.1/24") == "4047"
    assert code_of(oapi, "CreateNet", IpRange="10.0.0.0/8") == "4014"
    assert code_of(oapi, "CreateSubnet", NetId="vpc-00000000", IpRange="10.0.0.0/29") == "5065"
    assert code_of(oapi, "CreateSubnet", NetId=net, IpRange="10.0.0.0/30") == "9058"
    assert code_of(oapi, "CreateSubnet", NetId=net, IpRange="10.1.0.0/29") == "9044"
    assert code_of(oapi, "CreateSubnet", NetId=net, IpRange="10.0.0.0/29", SubregionName="eu-west-2z") == "5009"
    assert code_of(oapi, "CreateSecurityGroup", NetId="vpc-00000000", SecurityGroupName="h", Description="d") == "5065"
    assert code_of(oapi, "CreateVms", ImageId=image, SubnetId=subnet, SecurityGroupIds=[groups[0]]) == "5022"
    assert code_of(oapi, "CreateVms", ImageId=image, SecurityGroupIds=[groups[1]]) == "5021"
    elsewhere = {"SubregionName": "eu-west-2b"}
    assert code_of(oapi, "CreateVms", ImageId=image, SubnetId=subnet, Placement=elsewhere) == "9071"
    assert code_of(oapi, "CreateVms", ImageId=image, SubnetId=subnet, MaxVmsCount=4) == "10021"
    assert oapi.call("ReadVms")["Vms"] == []


def test_nets_are_deleted_once_they_are_empty(oapi: Oapi) -> None:
    net, subnet = make_subnet(oapi, "10.0.0.0/24")
    group = oapi.call("CreateSecurityGroup", SecurityGroupName="g", Description="d", NetId=net)["SecurityGroup"]
    vm = launch(oapi, SubnetId=subnet)
    assert code_of(oapi, "DeleteSubnet", SubnetId=subnet) == "9059"
    oapi.call("DeleteVms", VmIds=[vm])
    wait_state(oapi, vm, "terminated")
    assert code_of(oapi, "DeleteNet", NetId=net) == "9066"
    oapi.call("DeleteSubnet", SubnetId=subnet)
    assert code_of(oapi, "DeleteNet", NetId=net) == "9066"
    wanted = {"SecurityGroupId": group["SecurityGroupId"]}
    wait_for(lambda: oapi.ask("DeleteSecurityGroup", wanted)[0], lambda status: status == 200)
    oapi.call("DeleteNet", NetId=net)
    assert oapi.call("ReadNets")["Nets"] == []
    assert [each["SecurityGroupName"] for each in oapi.call("ReadSecurityGroups")["SecurityGroups"]] == ["default"]


def test_groups_of_a_net_let_all_out_until_their_rules_say_otherwise(oapi: Oapi) -> None:
    net, _ = make_subnet(oapi, "10.0.0.0/24")
    group = oapi.call("CreateSecurityGroup", SecurityGroupName="g", Description="d", NetId=net)["SecurityGroup"]
    (rule,) = group["OutboundRules"]
    assert (rule["IpProtocol"], rule["IpRanges"]) == ("-1", ["0.0.0.0/0"])
    parameters = {"SecurityGroupId": group["SecurityGroupId"], "Flow": "Outbound"}
    gone = oapi.call(
        "DeleteSecurityGroupRule", **parameters, Rules=[{"SecurityGroupRuleId": rule["SecurityGroupRuleId"]}]
    )
    assert gone["SecurityGroup"]["OutboundRules"] == []
    added = oapi.call("CreateSecurityGroupRule", **parameters, Rules=[RULE])["SecurityGroup"]
    assert (len(added["OutboundRules"]), added["InboundRules"]) == (1, [])
