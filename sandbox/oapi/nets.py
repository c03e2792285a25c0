"""OAPI: Nets and their Subnets, in which VMs have private addresses and no public ones of their own."""

from __future__ import annotations

from ipaddress import IPv4Network

from sandbox.cloud.context import LocalCloud
from sandbox.cloud.errors import Fail, RefusedError
from sandbox.cloud.model import Account, Net, SecurityGroup, Subnet, Vm
from sandbox.cloud.security_groups import DEFAULT_NAME, default_group
from sandbox.oapi.base import Json, action, listing, tag_views

LARGEST, SMALLEST = 16, 30
"""Bits of a range's mask."""
_FIRST, _RESERVED = 4, 5
"""A Subnet's first address for VMs, and how many OUTSCALE keeps: the first four and the last."""
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


@listing("Nets", "DhcpOptionsSetIds IpRanges NetIds States", IsDefault="=false")
def read_nets(cloud: LocalCloud, caller: Account) -> list[Json]:
    return [net_view(each) for each in cloud.owned(caller, Net)]


@action("CreateNet")
def create_net(cloud: LocalCloud, caller: Account, *, ip_range: str, tenancy: str | None = None) -> Json:
    net = cloud.make(Net, caller, ip_range=str(_block(ip_range)), tenancy=tenancy or "default")
    default_group(cloud, caller, net.id)
    return {"Net": net_view(net)}


@action("DeleteNet")
def delete_net(cloud: LocalCloud, caller: Account, *, net_id: str) -> None:
    """Delete a Net that has no Subnet and no security group but its default one."""
    net = cloud.own(caller, Net, net_id, Fail.NO_NET)
    groups = [each for each in cloud.owned(caller, SecurityGroup) if each.net_id == net_id]
    used = [each.id for each in (*_subnets(cloud, net_id), *(one for one in groups if one.name != DEFAULT_NAME))]
    if used:
        raise RefusedError(Fail.NET_IN_USE, f"The Net {net_id} still has {', '.join(used)}.")
    for each in (*groups, net):
        cloud.store.delete(each)


def subnet_view(cloud: LocalCloud, subnet: Subnet) -> Json:
    free = IPv4Network(subnet.ip_range).num_addresses - _RESERVED - len(_taken(cloud, subnet))
    return {
        "AvailableIpsCount": max(0, free),
        "IpRange": subnet.ip_range,
        "MapPublicIpOnLaunch": False,
        "NetId": subnet.net_id,
        "State": "available",
        "SubnetId": subnet.id,
        "SubregionName": subnet.subregion,
        "Tags": tag_views(subnet),
    }


@listing("Subnets", "AvailableIpsCounts IpRanges NetIds States SubnetIds SubregionNames")
def read_subnets(cloud: LocalCloud, caller: Account) -> list[Json]:
    return [subnet_view(cloud, each) for each in cloud.owned(caller, Subnet)]


@action("CreateSubnet")
def create_subnet(
    cloud: LocalCloud, caller: Account, *, ip_range: str, net_id: str, subregion_name: str | None = None
) -> Json:
    """Make a part of a Net that no other Subnet overlaps."""
    net, region = cloud.own(caller, Net, net_id, Fail.NO_NET), cloud.region(caller)
    block, place = _block(ip_range), subregion_name or region.subregions[0]
    cloud.check_subregion(caller, place)
    if not block.subnet_of(IPv4Network(net.ip_range)):
        raise RefusedError(Fail.OUTSIDE_NET, f"{block} is not within {net.ip_range}, the range of {net_id}.")
    for other in _subnets(cloud, net_id):
        if block.overlaps(IPv4Network(other.ip_range)):
            raise RefusedError(Fail.SUBNET_CONFLICT, f"{block} overlaps {other.ip_range} of {other.id}.")
    subnet = cloud.make(Subnet, caller, net_id=net_id, ip_range=str(block), subregion=place)
    return {"Subnet": subnet_view(cloud, subnet)}


@action("DeleteSubnet")
def delete_subnet(cloud: LocalCloud, caller: Account, *, subnet_id: str) -> None:
    """Delete a Subnet in which no VM is."""
    subnet = cloud.own(caller, Subnet, subnet_id, Fail.NO_SUBNET)
    if _taken(cloud, subnet):
        raise RefusedError(Fail.SUBNET_IN_USE, f"The Subnet {subnet_id} still has VMs.")
    cloud.store.delete(subnet)


def free_address(cloud: LocalCloud, subnet: Subnet) -> str:
    """The lowest address that no VM has."""
    block, taken = IPv4Network(subnet.ip_range), _taken(cloud, subnet)
    for number in range(_FIRST, block.num_addresses - 1):
        if (address := str(block[number])) not in taken:
            return address
    raise RefusedError(Fail.NO_PRIVATE_IP_LEFT, f"No address is left in {subnet.id}.")


def _taken(cloud: LocalCloud, subnet: Subnet) -> set[str]:
    return {vm.private_ip for vm in cloud.store.all(Vm) if vm.subnet_id == subnet.id and vm.alive}


def _subnets(cloud: LocalCloud, net_id: str) -> list[Subnet]:
    return [each for each in cloud.store.all(Subnet) if each.net_id == net_id]


def _block(ip_range: str) -> IPv4Network:
    try:
        block = IPv4Network(ip_range)
    except ValueError:
        raise RefusedError(Fail.BAD_VALUE, f"The IP range '{ip_range}' is not valid.") from None
    if not LARGEST <= block.prefixlen <= SMALLEST:
        raise RefusedError(Fail.BAD_BLOCK_SIZE, f"The IP range {block} is not from /{LARGEST} to /{SMALLEST}.")
    return block
