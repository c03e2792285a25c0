"""OAPI: reads about the account and the platform."""

from __future__ import annotations

from sandbox.cloud.context import LocalCloud
from sandbox.cloud.filters import Getter
from sandbox.cloud.model import Account
from sandbox.cloud.quotas import QUOTAS
from sandbox.cloud.request import Request
from sandbox.config import REGIONS
from sandbox.oapi.base import FilteredRequest, Json, PagedRequest, ReadRequest, action, filtered, paged

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


@action("ReadAccounts", Request)
def read_accounts(cloud: LocalCloud, caller: Account, request: Request) -> Json:
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


@action("ReadRegions", Request, signed=False)
def read_regions(cloud: LocalCloud, caller: Account, request: Request) -> Json:
    return {"Regions": [{"Endpoint": each.endpoint, "RegionName": each.name} for each in REGIONS]}


@action("ReadLocations", PagedRequest, signed=False)
def read_locations(cloud: LocalCloud, caller: Account, request: PagedRequest) -> Json:
    codes = range(1, 1 + max(len(each.subregions) for each in REGIONS))
    return paged(request, "Locations", [{"Code": f"LOCAL{each}", "Name": "This machine"} for each in codes])


@action("ReadSubregions", ReadRequest)
def read_subregions(cloud: LocalCloud, caller: Account, request: ReadRequest) -> Json:
    region = cloud.region(caller)
    views = [
        {"LocationCode": f"LOCAL{number}", "RegionName": region.name, "State": "available", "SubregionName": name}
        for number, name in enumerate(region.subregions, start=1)
    ]
    getters = {
        "RegionNames": lambda one: [one["RegionName"]],
        "States": lambda one: [one["State"]],
        "SubregionNames": lambda one: [one["SubregionName"]],
    }
    return paged(request, "Subregions", filtered(request, views, getters))


@action("ReadVmTypes", ReadRequest, signed=False)
def read_vm_types(cloud: LocalCloud, caller: Account, request: ReadRequest) -> Json:
    views = [_type_view(name, cores, memory) for name, (cores, memory) in _AWS_TYPES.items()]
    views += [
        _type_view(f"tinav{generation}.c{cores}r{memory}p{level}", cores, float(memory))
        for generation in (5, 6, 7)
        for cores, memory in _TINA_SIZES
        for level in (1, 2, 3)
    ]
    getters = {
        "MemorySizes": lambda one: [str(one["MemorySize"])],
        "VcoreCounts": lambda one: [str(one["VcoreCount"])],
        "VmTypeNames": lambda one: [one["VmTypeName"]],
    }
    return paged(request, "VmTypes", filtered(request, views, getters))


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


_BY_TAG = " TagKeys TagValues Tags"
NONE_OF = {
    "InternetServices": "InternetServiceIds LinkNetIds LinkStates" + _BY_TAG,
    "LoadBalancers": "LoadBalancerNames States",
    "NatServices": "ClientTokens NatServiceIds NetIds States SubnetIds" + _BY_TAG,
    "NetPeerings": "AccepterNetAccountIds AccepterNetIpRanges AccepterNetNetIds ExpirationDates NetPeeringIds"
    " SourceNetAccountIds SourceNetIpRanges SourceNetNetIds StateMessages StateNames" + _BY_TAG,
    "Nics": "Descriptions IsSourceDestCheck LinkNicDeleteOnVmDeletion LinkNicDeviceNumbers LinkNicLinkNicIds"
    " LinkNicStates LinkNicVmAccountIds LinkNicVmIds LinkPublicIpAccountIds LinkPublicIpLinkPublicIpIds"
    " LinkPublicIpPublicDnsNames LinkPublicIpPublicIpIds LinkPublicIpPublicIps MacAddresses NetIds NicIds"
    " PrivateDnsNames PrivateIpsLinkPublicIpAccountIds PrivateIpsLinkPublicIpPublicIps PrivateIpsPrimaryIp"
    " PrivateIpsPrivateIps SecurityGroupIds SecurityGroupNames States SubnetIds SubregionNames" + _BY_TAG,
    "RouteTables": "LinkRouteTableIds LinkRouteTableLinkRouteTableIds LinkRouteTableMain LinkSubnetIds NetIds"
    " RouteCreationMethods RouteDestinationIpRanges RouteDestinationServiceIds RouteGatewayIds RouteNatServiceIds"
    " RouteNetPeeringIds RouteStates RouteTableIds RouteVmIds" + _BY_TAG,
}
"""Kinds that the sandbox lacks -> the filters that their Read calls take."""


def _read_none(name: str, filters: str) -> None:
    getters: dict[str, Getter[Json]] = {each: lambda one: [] for each in filters.split()}

    @action(f"Read{name}", FilteredRequest if name == "LoadBalancers" else ReadRequest)
    def read(cloud: LocalCloud, caller: Account, request: FilteredRequest) -> Json:
        return {name: filtered(request, [], getters)}


for _name, _filters in NONE_OF.items():
    _read_none(_name, _filters)


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
    getters = {
        "Collections": lambda one: [one["QuotaCollection"]],
        "QuotaNames": lambda one: [one["Name"]],
        "QuotaTypes": lambda one: ["global"],
        "ShortDescriptions": lambda one: [one["ShortDescription"]],
    }
    return paged(request, "QuotaTypes", [{"QuotaType": "global", "Quotas": filtered(request, views, getters)}])
