"""OAPI: Nets and Subnets."""

from __future__ import annotations

from sandbox.cloud import nets
from sandbox.cloud.context import LocalCloud
from sandbox.cloud.filters import Getter, text
from sandbox.cloud.model import Account, Net, Subnet
from sandbox.cloud.request import Request
from sandbox.oapi.base import Json, ReadRequest, action, filtered, paged, tag_getters, tag_views

_DHCP = "dopt-00000001"
"""The only DHCP options set there is."""


def net_view(net: Net) -> Json:
    return {
        "DhcpOptionsSetId": _DHCP,
        "IpRange": net.ip_range,
        "NetId": net.id,
        "State": "available",
        "Tags": tag_views(net),
        "Tenancy": net.tenancy,
    }


def subnet_view(cloud: LocalCloud, subnet: Subnet) -> Json:
    return {
        "AvailableIpsCount": nets.available(cloud, subnet),
        "IpRange": subnet.ip_range,
        "MapPublicIpOnLaunch": False,
        "NetId": subnet.net_id,
        "State": "available",
        "SubnetId": subnet.id,
        "SubregionName": subnet.subregion,
        "Tags": tag_views(subnet),
    }


NET_FILTERS: dict[str, Getter[Net]] = {
    "DhcpOptionsSetIds": lambda one: [_DHCP],
    "IpRanges": lambda one: [one.ip_range],
    "IsDefault": lambda one: ["false"],
    "NetIds": lambda one: [one.id],
    "States": lambda one: ["available"],
    **tag_getters(),
}


def subnet_filters(cloud: LocalCloud) -> dict[str, Getter[Subnet]]:
    return {
        "AvailableIpsCounts": lambda one: [text(nets.available(cloud, one))],
        "IpRanges": lambda one: [one.ip_range],
        "NetIds": lambda one: [one.net_id],
        "States": lambda one: ["available"],
        "SubnetIds": lambda one: [one.id],
        "SubregionNames": lambda one: [one.subregion],
        **tag_getters(),
    }


@action("ReadNets", ReadRequest)
def read_nets(cloud: LocalCloud, caller: Account, request: ReadRequest) -> Json:
    return paged(request, "Nets", [net_view(each) for each in filtered(request, cloud.owned(caller, Net), NET_FILTERS)])


@action("ReadSubnets", ReadRequest)
def read_subnets(cloud: LocalCloud, caller: Account, request: ReadRequest) -> Json:
    found = filtered(request, cloud.owned(caller, Subnet), subnet_filters(cloud))
    return paged(request, "Subnets", [subnet_view(cloud, each) for each in found])


class CreateNetRequest(Request):
    ip_range: str
    tenancy: str | None = None


@action("CreateNet", CreateNetRequest)
def create_net(cloud: LocalCloud, caller: Account, request: CreateNetRequest) -> Json:
    net = nets.create_net(cloud, caller, ip_range=request.ip_range, tenancy=request.tenancy or "default")
    return {"Net": net_view(net)}


class DeleteNetRequest(Request):
    net_id: str


@action("DeleteNet", DeleteNetRequest)
def delete_net(cloud: LocalCloud, caller: Account, request: DeleteNetRequest) -> Json:
    nets.delete_net(cloud, caller, request.net_id)
    return {}


class CreateSubnetRequest(Request):
    ip_range: str
    net_id: str
    subregion_name: str | None = None


@action("CreateSubnet", CreateSubnetRequest)
def create_subnet(cloud: LocalCloud, caller: Account, request: CreateSubnetRequest) -> Json:
    subnet = nets.create_subnet(
        cloud, caller, net_id=request.net_id, ip_range=request.ip_range, subregion=request.subregion_name
    )
    return {"Subnet": subnet_view(cloud, subnet)}


class DeleteSubnetRequest(Request):
    subnet_id: str


@action("DeleteSubnet", DeleteSubnetRequest)
def delete_subnet(cloud: LocalCloud, caller: Account, request: DeleteSubnetRequest) -> Json:
    nets.delete_subnet(cloud, caller, request.subnet_id)
    return {}
