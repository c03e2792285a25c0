"""FCU: keypairs, security groups, addresses, tags, Regions."""

from __future__ import annotations

from sandbox.cloud import keypairs, public_ips, security_groups, tags
from sandbox.cloud.context import Cloud
from sandbox.cloud.errors import CloudError, Fail
from sandbox.cloud.filters import Getter, maybe
from sandbox.cloud.model import Account, Keypair, PublicIp, Rule, SecurityGroup, Vm
from sandbox.cloud.security_groups import INBOUND, RuleRequest
from sandbox.config import REGIONS
from sandbox.fcu.base import by_ids, filtered, operation, required, tag_getters, tag_views, tags_of
from sandbox.fcu.protocol import Json
from sandbox.oapi.tags import RESOURCE_TYPES

# --- keypairs ------------------------------------------------------------------------------------------------------

KEYPAIR_FILTERS: dict[str, Getter[Keypair]] = {
    "fingerprint": lambda one: [one.fingerprint],
    "key-name": lambda one: [one.name],
    "key-pair-id": lambda one: [one.id],
    **tag_getters(),
}


@operation("CreateKeyPair", "KeyName", "KeyType", "KeyFormat", "TagSpecifications")
def create_key_pair(cloud: Cloud, caller: Account, parameters: Json) -> Json:
    made = keypairs.create_keypair(cloud, caller, name=required(parameters, "KeyName"), public_key=None)
    return {
        "KeyName": made.keypair.name,
        "KeyFingerprint": made.keypair.fingerprint,
        "KeyMaterial": made.private_key,
        "KeyPairId": made.keypair.id,
    }


@operation("ImportKeyPair", "KeyName", "PublicKeyMaterial", "TagSpecifications")
def import_key_pair(cloud: Cloud, caller: Account, parameters: Json) -> Json:
    material: bytes = required(parameters, "PublicKeyMaterial")
    text = material.decode(errors="replace")
    made = keypairs.create_keypair(cloud, caller, name=required(parameters, "KeyName"), public_key=text)
    given = tags_of(parameters, "key-pair")
    if given:
        tags.set_tags(cloud, caller, [made.keypair.id], given)
    return {
        "KeyName": made.keypair.name,
        "KeyFingerprint": made.keypair.fingerprint,
        "KeyPairId": made.keypair.id,
    }


@operation("DescribeKeyPairs", "KeyNames", "Filters")
def describe_key_pairs(cloud: Cloud, caller: Account, parameters: Json) -> Json:
    own = cloud.owned(caller, Keypair)
    found = by_ids(parameters.get("KeyNames"), own, lambda one: one.name, Fail.NO_KEYPAIR)
    views = [
        {
            "KeyPairId": each.id,
            "KeyFingerprint": each.fingerprint,
            "KeyName": each.name,
            "KeyType": "ed25519" if "ed25519" in each.type else "rsa",
            "Tags": tag_views(each),
        }
        for each in filtered(parameters, found, KEYPAIR_FILTERS)
    ]
    return {"KeyPairs": views}


@operation("DeleteKeyPair", "KeyName", "KeyPairId")
def delete_key_pair(cloud: Cloud, caller: Account, parameters: Json) -> Json:
    keypairs.delete_keypair(cloud, caller, name=parameters.get("KeyName"), keypair_id=parameters.get("KeyPairId"))
    return {"Return": True}


# --- security groups -----------------------------------------------------------------------------------------------

GROUP_FILTERS: dict[str, Getter[SecurityGroup]] = {
    "description": lambda one: [one.description],
    "group-id": lambda one: [one.id],
    "group-name": lambda one: [one.name],
    "ip-permission.cidr": lambda one: [cidr for each in one.inbound for cidr in each.ip_ranges],
    "ip-permission.from-port": lambda one: [str(each.from_port) for each in one.inbound],
    "ip-permission.protocol": lambda one: [each.protocol for each in one.inbound],
    "ip-permission.to-port": lambda one: [str(each.to_port) for each in one.inbound],
    "owner-id": lambda one: [one.account_id],
    **tag_getters(),
}


def _rule_view(rule: Rule) -> Json:
    return {
        "IpProtocol": rule.protocol,
        "FromPort": rule.from_port,
        "ToPort": rule.to_port,
        "IpRanges": [{"CidrIp": each} for each in rule.ip_ranges],
        "UserIdGroupPairs": [{"UserId": account, "GroupId": group} for account, group in rule.members],
    }


@operation("DescribeSecurityGroups", "GroupIds", "GroupNames", "Filters")
def describe_security_groups(cloud: Cloud, caller: Account, parameters: Json) -> Json:
    own = cloud.owned(caller, SecurityGroup)
    found = by_ids(parameters.get("GroupIds"), own, lambda one: one.id, Fail.NO_SECURITY_GROUP)
    found = by_ids(parameters.get("GroupNames"), found, lambda one: one.name, Fail.NO_SECURITY_GROUP)
    views = [
        {
            "OwnerId": each.account_id,
            "GroupName": each.name,
            "GroupId": each.id,
            "Description": each.description,
            "IpPermissions": [_rule_view(rule) for rule in each.inbound],
            "IpPermissionsEgress": [_rule_view(rule) for rule in each.outbound],
            "Tags": tag_views(each),
        }
        for each in filtered(parameters, found, GROUP_FILTERS)
    ]
    return {"SecurityGroups": views}


@operation("CreateSecurityGroup", "GroupName", "Description", "TagSpecifications")
def create_security_group(cloud: Cloud, caller: Account, parameters: Json) -> Json:
    group = security_groups.create_group(
        cloud, caller, name=required(parameters, "GroupName"), description=required(parameters, "Description")
    )
    given = tags_of(parameters, "security-group")
    if given:
        tags.set_tags(cloud, caller, [group.id], given)
    return {"GroupId": group.id}


@operation("DeleteSecurityGroup", "GroupId", "GroupName")
def delete_security_group(cloud: Cloud, caller: Account, parameters: Json) -> Json:
    security_groups.delete_group(cloud, caller, _group(cloud, caller, parameters))
    return {"Return": True}


def _group(cloud: Cloud, caller: Account, parameters: Json) -> SecurityGroup:
    return security_groups.find_group(
        cloud, caller, group_id=parameters.get("GroupId"), name=parameters.get("GroupName")
    )


def _requests(cloud: Cloud, caller: Account, parameters: Json) -> list[RuleRequest]:
    permissions = parameters.get("IpPermissions", [])
    if parameters.get("IpProtocol"):
        flat = {key: parameters.get(key) for key in ("IpProtocol", "FromPort", "ToPort")}
        ranges = [{"CidrIp": parameters["CidrIp"]}] if parameters.get("CidrIp") else []
        permissions = [*permissions, {**flat, "IpRanges": ranges}]
    requests = []
    for each in permissions:
        pairs = each.get("UserIdGroupPairs", [])
        members = [(pair.get("UserId", ""), _pair_group(cloud, caller, pair)) for pair in pairs]
        requests.append(
            RuleRequest(
                protocol=required(each, "IpProtocol"),
                from_port=each.get("FromPort"),
                to_port=each.get("ToPort"),
                ip_ranges=tuple(cidr["CidrIp"] for cidr in each.get("IpRanges", [])),
                members=tuple(members),
            )
        )
    return requests


def _pair_group(cloud: Cloud, caller: Account, pair: Json) -> str:
    if pair.get("GroupId"):
        return str(pair["GroupId"])
    return security_groups.find_group(cloud, caller, name=pair.get("GroupName")).id


_RULE_PARAMETERS = ("GroupId", "GroupName", "IpPermissions", "IpProtocol", "FromPort", "ToPort", "CidrIp")


@operation("AuthorizeSecurityGroupIngress", *_RULE_PARAMETERS)
def authorize_ingress(cloud: Cloud, caller: Account, parameters: Json) -> Json:
    group = _group(cloud, caller, parameters)
    security_groups.add_rules(cloud, caller, group, INBOUND, _requests(cloud, caller, parameters))
    return {"Return": True}


@operation("RevokeSecurityGroupIngress", *_RULE_PARAMETERS)
def revoke_ingress(cloud: Cloud, caller: Account, parameters: Json) -> Json:
    group = _group(cloud, caller, parameters)
    security_groups.remove_rules(cloud, caller, group, INBOUND, _requests(cloud, caller, parameters), [])
    return {"Return": True}


# --- addresses -----------------------------------------------------------------------------------------------------


@operation("AllocateAddress", "Domain")
def allocate_address(cloud: Cloud, caller: Account, parameters: Json) -> Json:
    address = public_ips.allocate(cloud, caller)
    return {
        "PublicIp": cloud.addresses.public_ip(address.slot),
        "AllocationId": address.id,
        "Domain": parameters.get("Domain", "standard"),
    }


@operation("ReleaseAddress", "AllocationId", "PublicIp")
def release_address(cloud: Cloud, caller: Account, parameters: Json) -> Json:
    public_ips.release(cloud, caller, _address(cloud, caller, parameters))
    return {}


def _address(cloud: Cloud, caller: Account, parameters: Json) -> PublicIp:
    return public_ips.find(cloud, caller, address_id=parameters.get("AllocationId"), ip=parameters.get("PublicIp"))


@operation("AssociateAddress", "AllocationId", "PublicIp", "InstanceId", "AllowReassociation")
def associate_address(cloud: Cloud, caller: Account, parameters: Json) -> Json:
    linked = public_ips.link(
        cloud,
        caller,
        _address(cloud, caller, parameters),
        required(parameters, "InstanceId"),
        allow_relink=bool(parameters.get("AllowReassociation")),
    )
    return {"AssociationId": linked.link_id}


@operation("DisassociateAddress", "AssociationId", "PublicIp")
def disassociate_address(cloud: Cloud, caller: Account, parameters: Json) -> Json:
    public_ips.unlink(cloud, caller, link_id=parameters.get("AssociationId"), ip=parameters.get("PublicIp"))
    return {}


@operation("DescribeAddresses", "AllocationIds", "PublicIps", "Filters")
def describe_addresses(cloud: Cloud, caller: Account, parameters: Json) -> Json:
    def ip(address: PublicIp) -> str:
        return cloud.addresses.public_ip(address.slot)

    own = cloud.owned(caller, PublicIp)
    found = by_ids(parameters.get("AllocationIds"), own, lambda one: one.id, Fail.NO_PUBLIC_IP)
    found = by_ids(parameters.get("PublicIps"), found, ip, Fail.NO_PUBLIC_IP)
    getters: dict[str, Getter[PublicIp]] = {
        "allocation-id": lambda one: [one.id],
        "association-id": lambda one: maybe(one.link_id),
        "instance-id": lambda one: maybe(one.vm_id),
        "public-ip": lambda one: [ip(one)],
        **tag_getters(),
    }
    views = []
    for each in filtered(parameters, found, getters):
        vm = cloud.store.get(Vm, each.vm_id) if each.vm_id else None
        views.append(
            {
                "PublicIp": ip(each),
                "AllocationId": each.id,
                "Domain": "standard",
                "InstanceId": each.vm_id,
                "AssociationId": each.link_id,
                "PrivateIpAddress": vm.private_ip if vm else None,
                "Tags": tag_views(each),
            }
        )
    return {"Addresses": views}


# --- tags ----------------------------------------------------------------------------------------------------------


@operation("CreateTags", "Resources", "Tags")
def create_tags(cloud: Cloud, caller: Account, parameters: Json) -> Json:
    wanted = {each["Key"]: each.get("Value", "") for each in required(parameters, "Tags")}
    tags.set_tags(cloud, caller, required(parameters, "Resources"), wanted)
    return {}


@operation("DeleteTags", "Resources", "Tags")
def delete_tags(cloud: Cloud, caller: Account, parameters: Json) -> Json:
    wanted = {each["Key"]: each.get("Value") for each in required(parameters, "Tags")}
    tags.remove_tags(cloud, caller, required(parameters, "Resources"), wanted)
    return {}


TAG_FILTERS: dict[str, Getter[Json]] = {
    "key": lambda one: [one["Key"]],
    "resource-id": lambda one: [one["ResourceId"]],
    "resource-type": lambda one: [one["ResourceType"]],
    "value": lambda one: [one["Value"]],
}


@operation("DescribeTags", "Filters")
def describe_tags(cloud: Cloud, caller: Account, parameters: Json) -> Json:
    views = [
        {"Key": key, "ResourceId": each.id, "ResourceType": RESOURCE_TYPES[each.kind], "Value": value}
        for each in tags.tagged_resources(cloud, caller)
        for key, value in each.tags.items()
    ]
    return {"Tags": filtered(parameters, views, TAG_FILTERS)}


# --- Regions -------------------------------------------------------------------------------------------------------


@operation("DescribeRegions", "RegionNames", "Filters")
def describe_regions(cloud: Cloud, caller: Account, parameters: Json) -> Json:
    wanted = parameters.get("RegionNames")
    for name in wanted or []:
        if name not in {each.name for each in REGIONS}:
            raise CloudError(Fail.BAD_VALUE, f"The Region '{name}' does not exist.")
    views = [
        {"RegionName": each.name, "Endpoint": each.endpoint.replace("api.", "fcu.", 1)}
        for each in REGIONS
        if not wanted or each.name in wanted
    ]
    getters: dict[str, Getter[Json]] = {
        "endpoint": lambda one: [one["Endpoint"]],
        "region-name": lambda one: [one["RegionName"]],
    }
    return {"Regions": filtered(parameters, views, getters)}


@operation("DescribeAvailabilityZones", "ZoneNames", "Filters")
def describe_zones(cloud: Cloud, caller: Account, parameters: Json) -> Json:
    region = cloud.region(caller)
    wanted = parameters.get("ZoneNames")
    views = [
        {"ZoneName": name, "RegionName": region.name, "State": "available"}
        for name in region.subregions
        if not wanted or name in wanted
    ]
    getters: dict[str, Getter[Json]] = {
        "region-name": lambda one: [one["RegionName"]],
        "state": lambda one: [one["State"]],
        "zone-name": lambda one: [one["ZoneName"]],
    }
    return {"AvailabilityZones": filtered(parameters, views, getters)}
