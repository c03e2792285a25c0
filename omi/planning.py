"""From a stack's settings, its ledger and what was seen of the world to its plan."""

from __future__ import annotations

from dataclasses import replace

from omi.adoption import as_adoptions, dropped, joined, newcomers
from omi.digest import image_digest
from omi.ledger import Ledger
from omi.places import GUEST, TEMPLATE
from omi.plan import Plan, make_plan
from omi.plan.keys import trust_keys
from omi.profile.model import Build
from omi.settings import Settings
from omi.survey import Survey


def plan_stack(settings: Settings, ledger: Ledger, seen: Survey) -> Plan:
    """The plan for the survey's day. Reads the guest's files for the digests and nothing else; raises an OmiError."""
    trusted = trust_keys(seen.profile.builds, seen.upstream, ledger, seen.today)
    seen = replace(seen, profile=replace(seen.profile, builds=trusted.builds))
    wanted, warnings = newcomers(settings, ledger, seen, _digest)
    if wanted:
        everything = settings.retention.model_copy(update={"allow_mass_prune": ("all",)})
        trial = settings.model_copy(update={"retention": everything})
        left = {step.name: step.reason for step in dropped(_plan(trial, joined(ledger, wanted), seen), wanted)}
        warnings += [f"adopt: {name} is left alone: {reason}" for name, reason in left.items()]
        wanted = [image for image in wanted if image.name not in left]
    plan = as_adoptions(_plan(settings, joined(ledger, wanted), seen), wanted)
    return replace(plan, warnings=(*plan.warnings, *trusted.warnings, *warnings))


def _plan(settings: Settings, ledger: Ledger, seen: Survey) -> Plan:
    discover = seen.profile.discover
    return make_plan(
        seen.profile.builds,
        seen.upstream,
        ledger,
        settings.retention,
        seen.today,
        _digest,
        account=seen.account,
        only=settings.builds,
        edge_keep=discover.edge if discover is not None else None,
        packages=seen.packages,
        access=settings.access,
    )


def _digest(build: Build, release: str) -> str:
    return image_digest(build, release, GUEST, TEMPLATE)
