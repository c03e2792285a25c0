"""Security groups: the default ones, and the traffic that rules let through."""

from __future__ import annotations

from sandbox.cloud.context import LocalCloud
from sandbox.cloud.ids import new_id
from sandbox.cloud.model import Account, Rule, SecurityGroup

DEFAULT_NAME = "default"


def make_group(cloud: LocalCloud, caller: Account, name: str, description: str, net_id: str | None) -> SecurityGroup:
    """A group that lets nothing in."""
    anything = Rule(id=new_id("sgr"), protocol="-1", from_port=-1, to_port=-1, ip_ranges=("0.0.0.0/0",))
    outbound = (anything,) if net_id else ()
    return cloud.make(SecurityGroup, caller, name=name, description=description, net_id=net_id, outbound=outbound)


def default_group(cloud: LocalCloud, caller: Account, net_id: str | None = None) -> SecurityGroup:
    """The group of a VM without a named one; every account has it, and every Net its own."""
    for each in cloud.owned(caller, SecurityGroup):
        if each.name == DEFAULT_NAME and each.net_id == net_id:
            return each
    return make_group(cloud, caller, DEFAULT_NAME, "default group", net_id)


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
