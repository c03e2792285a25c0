"""OAPI: security groups and their rules."""

from __future__ import annotations

import datetime as dt
import ipaddress
from collections.abc import Callable

from sandbox.cloud.context import LocalCloud
from sandbox.cloud.errors import Fail, RefusedError
from sandbox.cloud.ids import new_id
from sandbox.cloud.model import Account, Net, Rule, SecurityGroup, Vm, now
from sandbox.cloud.security_groups import DEFAULT_NAME, make_group
from sandbox.oapi.base import Json, action, listing, tag_views, without_none
from sandbox.oapi.request import CreateRuleRequest, DeleteRuleRequest, MemberPart, RuleChangeRequest, RulePart

PROTOCOLS = {"tcp": "tcp", "udp": "udp", "icmp": "icmp", "-1": "-1", "6": "tcp", "17": "udp", "1": "icmp"}


def rule_view(rule: Rule) -> Json:
    members = [{"AccountId": account, "SecurityGroupId": group} for account, group in rule.members]
    return without_none(
        {
            "FromPortRange": rule.from_port,
            "IpProtocol": rule.protocol,
            "IpRanges": list(rule.ip_ranges) or None,
            "SecurityGroupRuleId": rule.id,
            "SecurityGroupsMembers": members or None,
            "ToPortRange": rule.to_port,
        }
    )


def group_view(group: SecurityGroup) -> Json:
    """A group as OAPI shows it."""
    view = {
        "AccountId": group.account_id,
        "Description": group.description,
        "InboundRules": [rule_view(each) for each in group.inbound],
        "NetId": group.net_id,
        "OutboundRules": [rule_view(each) for each in group.outbound],
        "SecurityGroupId": group.id,
        "SecurityGroupName": group.name,
        "Tags": tag_views(group),
    }
    return without_none(view)


@listing(
    "SecurityGroups",
    "Descriptions NetIds SecurityGroupIds SecurityGroupNames",
    InboundRuleFromPortRanges="InboundRules.FromPortRange",
    InboundRuleIpRanges="InboundRules.IpRanges",
    InboundRuleProtocols="InboundRules.IpProtocol",
    InboundRuleToPortRanges="InboundRules.ToPortRange",
    OutboundRuleFromPortRanges="OutboundRules.FromPortRange",
    OutboundRuleIpRanges="OutboundRules.IpRanges",
    OutboundRuleProtocols="OutboundRules.IpProtocol",
    OutboundRuleToPortRanges="OutboundRules.ToPortRange",
)
def read_groups(cloud: LocalCloud, caller: Account) -> list[Json]:
    return [group_view(each) for each in cloud.owned(caller, SecurityGroup)]


@action("CreateSecurityGroup")
def create_group(
    cloud: LocalCloud, caller: Account, *, description: str, net_id: str | None = None, security_group_name: str
) -> Json:
    """Make a group that lets nothing in; its name is unique in its Net, or outside of all Nets."""
    name, net_id = security_group_name, net_id or None
    for label, value in (("SecurityGroupName", name), ("Description", description)):
        if not 1 <= len(value) <= 255:
            raise RefusedError(Fail.BAD_LENGTH, f"The {label} must have 1 to 255 characters.")
    if net_id:
        cloud.own(caller, Net, net_id, Fail.NO_NET)
    if any((each.name, each.net_id) == (name, net_id) for each in cloud.owned(caller, SecurityGroup)):
        raise RefusedError(Fail.DUPLICATE_SECURITY_GROUP, f"The security group '{name}' already exists.")
    return {"SecurityGroup": group_view(make_group(cloud, caller, name, description, net_id))}


def find_group(
    cloud: LocalCloud, caller: Account, *, group_id: str | None = None, name: str | None = None
) -> SecurityGroup:
    """The caller's group of that id, or outside of Nets of that name."""
    if group_id:
        return cloud.own(caller, SecurityGroup, group_id, Fail.NO_SECURITY_GROUP)
    if not name:
        raise RefusedError(Fail.MISSING_PARAMETER, "The parameter 'SecurityGroupId' is required.")
    for each in cloud.owned(caller, SecurityGroup):
        if each.name == name and each.net_id is None:
            return each
    raise RefusedError(Fail.NO_SECURITY_GROUP, f"The security group '{name}' does not exist.")


def check_net(groups: list[SecurityGroup], net_id: str | None) -> list[SecurityGroup]:
    """The groups, if all are of this Net, or (None) outside of all Nets; else an error."""
    for group in groups:
        if group.net_id != net_id:
            fail = Fail.NOT_OF_NET if net_id else Fail.NOT_OF_PUBLIC_CLOUD
            raise RefusedError(fail, f"The security group {group.id} is not of {net_id or 'the public cloud'}.")
    return groups


@action("DeleteSecurityGroup")
def delete_group(
    cloud: LocalCloud, caller: Account, *, security_group_id: str | None = None, security_group_name: str | None = None
) -> None:
    """Delete a group, unless a VM has it, or had it until a moment ago, or another group's rule names it."""
    group = find_group(cloud, caller, group_id=security_group_id, name=security_group_name)
    if group.name == DEFAULT_NAME:
        raise RefusedError(Fail.RESERVED_SECURITY_GROUP, "The default security group can't be deleted.")
    vms = cloud.store.all(Vm)
    holder = next((vm for vm in vms if group.id in vm.security_group_ids and _holds(cloud, vm)), None)
    if holder is not None:
        raise RefusedError(Fail.SECURITY_GROUP_IN_USE, f"The security group {group.id} is in use by {holder.id}.")
    for other in cloud.owned(caller, SecurityGroup):
        named = any(group.id == member for rule in other.inbound for _, member in rule.members)
        if other.id != group.id and named:
            raise RefusedError(Fail.SECURITY_GROUP_IN_USE, f"A rule of {other.id} names the security group {group.id}.")
    cloud.store.delete(group)


def _holds(cloud: LocalCloud, vm: Vm) -> bool:
    if vm.alive or vm.ended is None:
        return True
    return now() - vm.ended < dt.timedelta(seconds=cloud.timing.security_group_hold)


@action("CreateSecurityGroupRule", CreateRuleRequest)
def create_rule(cloud: LocalCloud, caller: Account, request: CreateRuleRequest) -> Json:
    """Add rules; one that is there already is refused."""

    def add(rules: list[Rule], part: RulePart) -> None:
        rule = _rule(cloud, caller, part)
        if any(each.same_traffic(rule) for each in rules):
            raise RefusedError(Fail.DUPLICATE_RULE, "The rule already exists.")
        rules.append(rule)

    group = find_group(cloud, caller, group_id=request.security_group_id)
    parts = request.parts(request.security_group_account_id_to_link, request.security_group_name_to_link)
    if not parts:
        raise RefusedError(Fail.MISSING_PARAMETER, "The parameter 'Rules' is required.")
    return _changed(cloud, group, request, parts, add)


@action("DeleteSecurityGroupRule", DeleteRuleRequest)
def delete_rule(cloud: LocalCloud, caller: Account, request: DeleteRuleRequest) -> Json:
    """Remove rules by what they let through or by id; one that is not there is refused."""

    def remove(rules: list[Rule], part: RulePart) -> None:
        rule = None if part.security_group_rule_id else _rule(cloud, caller, part)
        for each in rules:
            if each.same_traffic(rule) if rule else each.id == part.security_group_rule_id:
                rules.remove(each)
                return
        raise RefusedError(Fail.NO_RULE, "The rule does not exist.")

    group = find_group(cloud, caller, group_id=request.security_group_id)
    parts = request.parts(request.security_group_account_id_to_unlink, request.security_group_name_to_unlink)
    return _changed(cloud, group, request, parts, remove)


def _changed(
    cloud: LocalCloud,
    group: SecurityGroup,
    request: RuleChangeRequest,
    parts: list[RulePart],
    change: Callable[[list[Rule], RulePart], None],
) -> Json:
    if request.flow not in ("Inbound", "Outbound"):
        raise RefusedError(Fail.BAD_VALUE, f"The flow '{request.flow}' is not valid: Inbound or Outbound.")
    if request.flow == "Outbound" and group.net_id is None:
        raise RefusedError(Fail.NOT_IN_PUBLIC_CLOUD, "Only security groups of a Net have outbound rules.")
    rules = list(group.inbound if request.flow == "Inbound" else group.outbound)
    for part in parts:
        change(rules, part)
    changed = group.model_copy(update={request.flow.lower(): tuple(rules)})
    return {"SecurityGroup": group_view(cloud.store.put(changed))}


def _rule(cloud: LocalCloud, caller: Account, part: RulePart) -> Rule:
    """The rule that a part means; ports of None or -1 are any."""
    if part.ip_protocol is None:
        raise RefusedError(Fail.MISSING_PARAMETER, "The parameter 'IpProtocol' is required.")
    named = part.security_groups_members or []
    members = [(each.account_id or caller.id, _member_id(cloud, caller, each)) for each in named]
    protocol = PROTOCOLS.get(part.ip_protocol.lower())
    if protocol is None:
        raise RefusedError(Fail.BAD_PARAMETER, f"The protocol '{part.ip_protocol}' is not valid: tcp, udp, icmp or -1.")
    first = -1 if part.from_port_range is None else part.from_port_range
    last = first if part.to_port_range is None else part.to_port_range
    if not -1 <= first <= last <= 65535 or ((first == -1) != (last == -1) and protocol != "icmp"):
        raise RefusedError(Fail.BAD_VALUE, f"The ports {first} to {last} are not valid.")
    if not part.ip_ranges and not members:
        raise RefusedError(Fail.BAD_COMBINATION, "The rule needs an IpRange or SecurityGroupsMembers.")
    for cidr in part.ip_ranges or ():
        try:
            ipaddress.ip_network(cidr, strict=False)
        except ValueError:
            raise RefusedError(Fail.BAD_VALUE, f"The IP range '{cidr}' is not valid.") from None
    for account, group_id in members:
        if account == caller.id:
            cloud.own(caller, SecurityGroup, group_id, Fail.NO_MEMBER)
    ranges = tuple(part.ip_ranges or ())
    return Rule(
        id=new_id("sgr"), protocol=protocol, from_port=first, to_port=last, ip_ranges=ranges, members=tuple(members)
    )


def _member_id(cloud: LocalCloud, caller: Account, member: MemberPart) -> str:
    if member.security_group_id and member.security_group_name:
        raise RefusedError(Fail.BAD_COMBINATION, "A member has a SecurityGroupId or a SecurityGroupName, not both.")
    if member.security_group_id:
        return member.security_group_id
    if not member.security_group_name:
        raise RefusedError(Fail.MISSING_PARAMETER, "The parameter 'SecurityGroupId' of a member is required.")
    for each in cloud.owned(caller, SecurityGroup):
        if each.name == member.security_group_name:
            return each.id
    raise RefusedError(Fail.NO_MEMBER, f"The security group '{member.security_group_name}' does not exist.")
