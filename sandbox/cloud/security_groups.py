"""Security groups: their rules, when they count as in use, and what they let through."""

from __future__ import annotations

import datetime as dt
import ipaddress

from sandbox.cloud.context import LocalCloud
from sandbox.cloud.errors import Fail, RefusedError
from sandbox.cloud.ids import new_id
from sandbox.cloud.model import Account, Net, Rule, SecurityGroup, Vm, now
from sandbox.cloud.request import MemberPart, RulePart

DEFAULT_NAME = "default"
PROTOCOLS = {"tcp": "tcp", "udp": "udp", "icmp": "icmp", "-1": "-1", "6": "tcp", "17": "udp", "1": "icmp"}
INBOUND, OUTBOUND = "Inbound", "Outbound"


def create_group(
    cloud: LocalCloud, caller: Account, *, name: str, description: str, net_id: str | None = None
) -> SecurityGroup:
    """A group that lets nothing in; its name is unique in its Net, or outside of all Nets."""
    for label, value in (("SecurityGroupName", name), ("Description", description)):
        if not 1 <= len(value) <= 255:
            raise RefusedError(Fail.BAD_LENGTH, f"The {label} must have 1 to 255 characters.")
    with cloud.transaction():
        if net_id:
            cloud.own(caller, Net, net_id, Fail.NO_NET)
        if any((each.name, each.net_id) == (name, net_id) for each in cloud.owned(caller, SecurityGroup)):
            raise RefusedError(Fail.DUPLICATE_SECURITY_GROUP, f"The security group '{name}' already exists.")
        anything = Rule(id=new_id("sgr"), protocol="-1", from_port=-1, to_port=-1, ip_ranges=("0.0.0.0/0",))
        outbound = (anything,) if net_id else ()
        return cloud.make(SecurityGroup, caller, name=name, description=description, net_id=net_id, outbound=outbound)


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


def default_group(cloud: LocalCloud, caller: Account, net_id: str | None = None) -> SecurityGroup:
    """The group that a VM gets when none is asked for; every account has it, and every Net its own."""
    with cloud.transaction():
        for each in cloud.owned(caller, SecurityGroup):
            if each.name == DEFAULT_NAME and each.net_id == net_id:
                return each
        return create_group(cloud, caller, name=DEFAULT_NAME, description="default group", net_id=net_id)


def check_net(groups: list[SecurityGroup], net_id: str | None) -> list[SecurityGroup]:
    """The groups, if all are of this Net, or (None) of none."""
    for group in groups:
        if group.net_id != net_id:
            fail = Fail.NOT_OF_NET if net_id else Fail.NOT_OF_PUBLIC_CLOUD
            raise RefusedError(fail, f"The security group {group.id} is not of {net_id or 'the public cloud'}.")
    return groups


def add_rules(
    cloud: LocalCloud, caller: Account, group: SecurityGroup, flow: str, parts: list[RulePart]
) -> SecurityGroup:
    """Add rules; one that is there already is refused."""
    if not parts:
        raise RefusedError(Fail.MISSING_PARAMETER, "The parameter 'Rules' is required.")
    with cloud.transaction() as store:
        rules, field = _rules(group, flow)
        for part in parts:
            rule = _rule(cloud, caller, part)
            if any(each.same_traffic(rule) for each in rules):
                raise RefusedError(Fail.DUPLICATE_RULE, "The rule already exists.")
            rules.append(rule)
        return store.put(group.model_copy(update={field: tuple(rules)}))


def remove_rules(
    cloud: LocalCloud, caller: Account, group: SecurityGroup, flow: str, parts: list[RulePart]
) -> SecurityGroup:
    """Remove rules by what they let through or by id; one that is not there is refused."""
    with cloud.transaction() as store:
        rules, field = _rules(group, flow)
        for part in parts:
            if part.security_group_rule_id:
                _take(rules, [each for each in rules if each.id == part.security_group_rule_id])
                continue
            rule = _rule(cloud, caller, part)
            _take(rules, [each for each in rules if each.same_traffic(rule)])
        return store.put(group.model_copy(update={field: tuple(rules)}))


def _take(rules: list[Rule], found: list[Rule]) -> None:
    if not found:
        raise RefusedError(Fail.NO_RULE, "The rule does not exist.")
    rules.remove(found[0])


def _rules(group: SecurityGroup, flow: str) -> tuple[list[Rule], str]:
    """The group's rules for the flow, and the field that holds them."""
    if flow not in (INBOUND, OUTBOUND):
        raise RefusedError(Fail.BAD_VALUE, f"The flow '{flow}' is not valid: Inbound or Outbound.")
    if flow == INBOUND:
        return list(group.inbound), "inbound"
    if group.net_id is None:
        raise RefusedError(Fail.NOT_IN_PUBLIC_CLOUD, "Only security groups of a Net have outbound rules.")
    return list(group.outbound), "outbound"


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
    return Rule(
        id=new_id("sgr"),
        protocol=protocol,
        from_port=first,
        to_port=last,
        ip_ranges=tuple(part.ip_ranges or ()),
        members=tuple(members),
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


def delete_group(cloud: LocalCloud, caller: Account, group: SecurityGroup) -> None:
    """Delete a group that no VM holds, nor held until a moment ago, and that no other group's rule names."""
    with cloud.transaction() as store:
        if group.name == DEFAULT_NAME:
            raise RefusedError(Fail.RESERVED_SECURITY_GROUP, "The default security group can't be deleted.")
        holder = next((vm for vm in store.all(Vm) if group.id in vm.security_group_ids and _holds(cloud, vm)), None)
        if holder is not None:
            raise RefusedError(Fail.SECURITY_GROUP_IN_USE, f"The security group {group.id} is in use by {holder.id}.")
        for other in cloud.owned(caller, SecurityGroup):
            named = any(group.id == member for rule in other.inbound for _, member in rule.members)
            if other.id != group.id and named:
                raise RefusedError(
                    Fail.SECURITY_GROUP_IN_USE, f"A rule of {other.id} names the security group {group.id}."
                )
        store.delete(group)


def _holds(cloud: LocalCloud, vm: Vm) -> bool:
    if vm.alive or vm.ended is None:
        return True
    return now() - vm.ended < dt.timedelta(seconds=cloud.timing.security_group_hold)


def allowed_sources(groups: list[SecurityGroup], ports: tuple[int, ...]) -> tuple[str, ...]:
    """The IP ranges from which inbound rules let TCP through to any of `ports`."""
    ranges: list[str] = []
    for rule in (rule for group in groups for rule in group.inbound):
        open_port = rule.from_port == -1 or any(rule.from_port <= port <= rule.to_port for port in ports)
        if rule.protocol in ("tcp", "-1") and open_port:
            ranges += rule.ip_ranges
    return tuple(dict.fromkeys(ranges))


def single_ports(groups: list[SecurityGroup]) -> set[int]:
    """The TCP ports that inbound rules name one by one."""
    rules = (rule for group in groups for rule in group.inbound)
    return {rule.from_port for rule in rules if rule.protocol == "tcp" and 0 < rule.from_port == rule.to_port}
