"""OAPI: security groups and their rules."""

from __future__ import annotations

from sandbox.cloud import security_groups
from sandbox.cloud.context import LocalCloud
from sandbox.cloud.filters import Getter, maybe
from sandbox.cloud.model import Account, Rule, SecurityGroup
from sandbox.cloud.request import MemberPart, Request, RulePart
from sandbox.oapi.base import Json, ReadRequest, action, filtered, paged, tag_getters, tag_views, without_none


def rule_view(rule: Rule) -> Json:
    view: Json = {"FromPortRange": rule.from_port, "IpProtocol": rule.protocol}
    if rule.ip_ranges:
        view["IpRanges"] = list(rule.ip_ranges)
    view["SecurityGroupRuleId"] = rule.id
    if rule.members:
        view["SecurityGroupsMembers"] = [
            {"AccountId": account, "SecurityGroupId": group} for account, group in rule.members
        ]
    view["ToPortRange"] = rule.to_port
    return view


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


FILTERS: dict[str, Getter[SecurityGroup]] = {
    "Descriptions": lambda one: [one.description],
    "NetIds": lambda one: maybe(one.net_id),
    "SecurityGroupIds": lambda one: [one.id],
    "SecurityGroupNames": lambda one: [one.name],
    "InboundRuleFromPortRanges": lambda one: [str(each.from_port) for each in one.inbound],
    "InboundRuleIpRanges": lambda one: [cidr for each in one.inbound for cidr in each.ip_ranges],
    "InboundRuleProtocols": lambda one: [each.protocol for each in one.inbound],
    "InboundRuleToPortRanges": lambda one: [str(each.to_port) for each in one.inbound],
    "OutboundRuleFromPortRanges": lambda one: [str(each.from_port) for each in one.outbound],
    "OutboundRuleIpRanges": lambda one: [cidr for each in one.outbound for cidr in each.ip_ranges],
    "OutboundRuleProtocols": lambda one: [each.protocol for each in one.outbound],
    "OutboundRuleToPortRanges": lambda one: [str(each.to_port) for each in one.outbound],
    **tag_getters(),
}


@action("ReadSecurityGroups", ReadRequest)
def read_groups(cloud: LocalCloud, caller: Account, request: ReadRequest) -> Json:
    found = filtered(request, cloud.owned(caller, SecurityGroup), FILTERS)
    return paged(request, "SecurityGroups", [group_view(each) for each in found])


class CreateSecurityGroupRequest(Request):
    description: str
    net_id: str | None = None
    security_group_name: str


@action("CreateSecurityGroup", CreateSecurityGroupRequest)
def create_group(cloud: LocalCloud, caller: Account, request: CreateSecurityGroupRequest) -> Json:
    group = security_groups.create_group(
        cloud,
        caller,
        name=request.security_group_name,
        description=request.description,
        net_id=request.net_id or None,
    )
    return {"SecurityGroup": group_view(group)}


class DeleteSecurityGroupRequest(Request):
    security_group_id: str | None = None
    security_group_name: str | None = None


@action("DeleteSecurityGroup", DeleteSecurityGroupRequest)
def delete_group(cloud: LocalCloud, caller: Account, request: DeleteSecurityGroupRequest) -> Json:
    group = security_groups.find_group(
        cloud, caller, group_id=request.security_group_id, name=request.security_group_name
    )
    security_groups.delete_group(cloud, caller, group)
    return {}


class RuleChangeRequest(Request):
    """Rules in `Rules`, or one in the flat fields."""

    flow: str
    from_port_range: int | None = None
    ip_protocol: str | None = None
    ip_range: str | None = None
    rules: list[RulePart] | None = None
    security_group_id: str
    to_port_range: int | None = None

    def parts(self, member: MemberPart) -> list[RulePart]:
        """The rules; `member` is the group that the flat fields name, if they do."""
        if self.rules or self.ip_protocol is None:
            return self.rules or []
        part = RulePart(
            FromPortRange=self.from_port_range,
            IpProtocol=self.ip_protocol,
            IpRanges=[self.ip_range] if self.ip_range else None,
            SecurityGroupsMembers=[member] if member.security_group_name else None,
            ToPortRange=self.to_port_range,
        )
        return [part]


class CreateRuleRequest(RuleChangeRequest):
    security_group_account_id_to_link: str | None = None
    security_group_name_to_link: str | None = None


class DeleteRuleRequest(RuleChangeRequest):
    security_group_account_id_to_unlink: str | None = None
    security_group_name_to_unlink: str | None = None


@action("CreateSecurityGroupRule", CreateRuleRequest)
def create_rule(cloud: LocalCloud, caller: Account, request: CreateRuleRequest) -> Json:
    group = security_groups.find_group(cloud, caller, group_id=request.security_group_id)
    linked = MemberPart(
        AccountId=request.security_group_account_id_to_link, SecurityGroupName=request.security_group_name_to_link
    )
    changed = security_groups.add_rules(cloud, caller, group, request.flow, request.parts(linked))
    return {"SecurityGroup": group_view(changed)}


@action("DeleteSecurityGroupRule", DeleteRuleRequest)
def delete_rule(cloud: LocalCloud, caller: Account, request: DeleteRuleRequest) -> Json:
    group = security_groups.find_group(cloud, caller, group_id=request.security_group_id)
    linked = MemberPart(
        AccountId=request.security_group_account_id_to_unlink, SecurityGroupName=request.security_group_name_to_unlink
    )
    changed = security_groups.remove_rules(cloud, caller, group, request.flow, request.parts(linked))
    return {"SecurityGroup": group_view(changed)}
