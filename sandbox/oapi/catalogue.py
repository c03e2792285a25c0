"""OAPI: reads about the account and the platform."""

from __future__ import annotations

from sandbox.cloud.context import LocalCloud
from sandbox.cloud.model import Account
from sandbox.cloud.quotas import QUOTAS
from sandbox.config import REGIONS
from sandbox.oapi.base import Json, action, listing, paged
from sandbox.oapi.filters import filtered, paths
from sandbox.oapi.request import PagedRequest, ReadRequest

_TINA_SIZES = ((1, 1), (1, 2), (2, 2), (2, 4), (4, 4), (4, 8), (8, 16), (16, 32))
_AWS_TYPES = {
    "t2.nano": (1, 0.5),
    "t2.micro": (1, 1.0),
    "t2.small": (1, 2.0),
    "t2.medium": (2, 4.0),
    "m4.large": (2, 8.0),
    "c4.large": (2, 3.75),
}
_PUBLIC_RANGE = "127.0.0.0/8"


@action("ReadAccounts")
def read_accounts(cloud: LocalCloud, caller: Account) -> Json:
    account = {
        "AccountId": caller.id,
        "AdditionalEmails": [],
        "City": "Saint-Cloud",
        "CompanyName": "Local sandbox",
        "Country": "France",
        "CustomerId": caller.id[:8],
        "Email": f"{caller.profile}@sandbox.invalid",
        "FirstName": "Local",
        "JobTitle": "",
        "LastName": "Sandbox",
        "MobileNumber": "",
        "OutscaleLoginAllowed": False,
        "PhoneNumber": "",
        "StateProvince": "",
        "VatNumber": "",
        "ZipCode": "92210",
    }
    return {"Accounts": [account]}


@action("ReadRegions", signed=False)
def read_regions(cloud: LocalCloud, caller: Account) -> Json:
    return {"Regions": [{"Endpoint": each.endpoint, "RegionName": each.name} for each in REGIONS]}


@listing("Locations", tagged=False, signed=False)
def read_locations(cloud: LocalCloud, caller: Account) -> list[Json]:
    codes = range(1, 1 + max(len(each.subregions) for each in REGIONS))
    return [{"Code": f"LOCAL{each}", "Name": "This machine"} for each in codes]


@listing("Subregions", "RegionNames States SubregionNames", tagged=False)
def read_subregions(cloud: LocalCloud, caller: Account) -> list[Json]:
    return [
        {"LocationCode": f"LOCAL{number}", "RegionName": caller.region, "State": "available", "SubregionName": name}
        for number, name in enumerate(cloud.region(caller).subregions, start=1)
    ]


@listing("VmTypes", "MemorySizes VcoreCounts VmTypeNames", tagged=False, signed=False)
def read_vm_types(cloud: LocalCloud, caller: Account) -> list[Json]:
    views = [_type_view(name, cores, memory) for name, (cores, memory) in _AWS_TYPES.items()]
    return views + [
        _type_view(f"tinav{generation}.c{cores}r{memory}p{level}", cores, float(memory))
        for generation in (5, 6, 7)
        for cores, memory in _TINA_SIZES
        for level in (1, 2, 3)
    ]


def _type_view(name: str, cores: int, memory: float) -> Json:
    return {
        "BsuOptimized": True,
        "MaxPrivateIps": 6,
        "MemorySize": memory,
        "VcoreCount": cores,
        "VmTypeName": name,
        "VolumeCount": 0,
    }


@action("ReadPublicIpRanges", PagedRequest, signed=False)
def read_public_ip_ranges(cloud: LocalCloud, caller: Account, request: PagedRequest) -> Json:
    return {"PublicIps": [_PUBLIC_RANGE]}


NONE_OF = {
    "InternetServices": "InternetServiceIds LinkNetIds LinkStates",
    "LoadBalancers": "LoadBalancerNames States",
    "NatServices": "ClientTokens NatServiceIds NetIds States SubnetIds",
    "NetPeerings": "AccepterNetAccountIds AccepterNetIpRanges AccepterNetNetIds ExpirationDates NetPeeringIds"
    " SourceNetAccountIds SourceNetIpRanges SourceNetNetIds StateMessages StateNames",
    "Nics": "Descriptions IsSourceDestCheck LinkNicDeleteOnVmDeletion LinkNicDeviceNumbers LinkNicLinkNicIds"
    " LinkNicStates LinkNicVmAccountIds LinkNicVmIds LinkPublicIpAccountIds LinkPublicIpLinkPublicIpIds"
    " LinkPublicIpPublicDnsNames LinkPublicIpPublicIpIds LinkPublicIpPublicIps MacAddresses NetIds NicIds"
    " PrivateDnsNames PrivateIpsLinkPublicIpAccountIds PrivateIpsLinkPublicIpPublicIps PrivateIpsPrimaryIp"
    " PrivateIpsPrivateIps SecurityGroupIds SecurityGroupNames States SubnetIds SubregionNames",
    "RouteTables": "LinkRouteTableIds LinkRouteTableLinkRouteTableIds LinkRouteTableMain LinkSubnetIds NetIds"
    " RouteCreationMethods RouteDestinationIpRanges RouteDestinationServiceIds RouteGatewayIds RouteNatServiceIds"
    " RouteNetPeeringIds RouteStates RouteTableIds RouteVmIds",
}
"""Kinds that the sandbox lacks -> the filters that their Read calls take."""


for _name, _filters in NONE_OF.items():
    _of_balancers = _name == "LoadBalancers"
    listing(_name, _filters, tagged=not _of_balancers, pages=not _of_balancers)(lambda cloud, caller: [])


@action("ReadQuotas", ReadRequest)
def read_quotas(cloud: LocalCloud, caller: Account, request: ReadRequest) -> Json:
    """The quotas that are in force."""
    views = [
        {
            "AccountId": caller.id,
            "Description": f"{quota.title} quota",
            "MaxValue": cloud.quotas.value(quota),
            "Name": quota.name,
            "QuotaCollection": quota.collection,
            "ShortDescription": quota.title,
            "UsedValue": cloud.quotas.used(caller, quota),
        }
        for quota in QUOTAS
    ]
    known = paths("ShortDescriptions", Collections="QuotaCollection", QuotaNames="Name", QuotaTypes="=global")
    return paged(request, "QuotaTypes", [{"QuotaType": "global", "Quotas": filtered(request, views, known)}])
