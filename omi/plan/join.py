"""The plans of a stack's Regions as one."""

from __future__ import annotations

from collections.abc import Sequence

from omi.plan.model import Plan


def join_plans(plans: Sequence[Plan]) -> Plan:
    """All steps by build, in the order of the plans. A warning or refusal that several plans share appears once."""
    builds = tuple(dict.fromkeys(build for plan in plans for build in plan.builds))
    place = {name: index for index, name in enumerate(builds)}
    steps = sorted((step for plan in plans for step in plan.steps), key=lambda step: place[step.build])
    warnings = dict.fromkeys(warning for plan in plans for warning in plan.warnings)
    regions = tuple(region for plan in plans for region in plan.regions)
    where: dict[str, list[str]] = {}
    for plan in plans:
        for refusal in plan.refused:
            where.setdefault(refusal, []).extend(plan.regions)
    refused = (f"Region {', '.join(each)}: {refusal}" if len(plans) > 1 else refusal for refusal, each in where.items())
    guarded = frozenset[str]().union(*(plan.guarded for plan in plans))
    return Plan(tuple(steps), builds, tuple(warnings), regions, refused=tuple(refused), guarded=guarded)
