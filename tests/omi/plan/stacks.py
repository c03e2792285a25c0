"""A whole stack's plan, from its builds, images and settings, and how to look into it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from omi.config.one_off import OneOff
from omi.config.regions import regions_of
from omi.config.settings import Level, Retention, Settings
from omi.plan import Action, Plan
from omi.plan.model import ChangeKind
from omi.plan.planning import plan_stack
from omi.plan.survey import Survey
from omi.profile.load import Profile
from omi.profile.model import Access, Target
from omi.state.account import AccountImage
from omi.state.identity import Identity
from omi.state.ledger import Ledger, LedgerImage
from omi.state.owner import VERIFIED
from tests.omi.plan.make import (
    TODAY,
    account,
    build,
    step_of,
    upstream,
)
from tests.omi.specs import OWNER

HOME, OTHER = "eu-west-2", "us-east-2"
COPY = {OTHER: {"cloud": {"osc_profile": OTHER}, "images": "copy"}}
UP6 = upstream("3.23.6")
V23, PUBLIC = build(), build(access=Access(public=True))
LATEST = Retention(release=Level())


def stack(
    builds: Sequence[Target],
    *images: LedgerImage,
    survey: dict[str, Any] | None = None,
    one_off: OneOff | None = None,
    **settings: Any,
) -> Plan:
    """The plan of a stack with these images; the accounts hold them, unless `survey` has other accounts."""
    given = Settings.model_validate({"region": HOME, **settings})
    regions = regions_of(given, Ledger.of(images))
    views = {each.name: account(*each.ledger.images) for each in regions}
    facts = Survey(Profile("alpine", tuple(builds)), UP6, regions, views, TODAY, OWNER)
    return plan_stack(given, replace(facts, **(survey or {})), one_off)


def in_other(plan: Plan) -> dict[str, tuple[Action, str]]:
    return {step.name: (step.action, step.reason) for step in plan.steps if step.region == OTHER}


def kinds(plan: Plan, name: str) -> list[ChangeKind]:
    return [change.kind for change in step_of(plan, name).changes]


def lost(image: LedgerImage) -> AccountImage:
    """It as the account holds it when no state does."""
    tags = {**Identity(image.spec).tags, VERIFIED: "yes"}
    return AccountImage(
        image.name, image.record.omi, tags, managed=True, digest=image.digest, access=image.spec.launch_access
    )
