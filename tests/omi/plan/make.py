"""Small makers for what a plan is made from, and the engine's part: applying a plan to a ledger."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from typing import Any

from omi.config.settings import Endpoints, FurtherRegion, Retention, Settings
from omi.plan import Action, Plan, PlanInput, PlannedImage, Step, make_plan
from omi.plan.model import ChangeKind
from omi.profile.model import Target
from omi.state.account import AccountImage, AccountView
from omi.state.image import BuildVm
from omi.state.ledger import Ledger, LedgerImage, StoredCommand
from omi.state.owner import maker_of
from omi.support.version import version_of
from omi.upstream.index import Index
from omi.upstream.model import Branch, MirrorRelease, Upstream
from omi.upstream.offer import Offer
from tests.omi.specs import OWNER, make_record

TODAY = date(2026, 11, 23)
FAR = date(2030, 1, 1)
CLOUD = Settings(region="eu-west-2").cloud_access()


def build(name: str = "v3_23", version: str = "3.23", **values: Any) -> Target:
    values.setdefault("profile", "alpine")
    values.setdefault("prefix", f"alpine-{name}-")
    return Target(name=name, version=version, **values)


def digest(of: Target, release: str, _files: object = None) -> str:
    """A stand-in for the content's digest: what the tests vary is the user."""
    return f"sha256:{of.user}"


def held(
    of: Target,
    release: str,
    revision: int = 0,
    *,
    verified: bool = True,
    adopted: bool = False,
    installed: Mapping[str, str] | None = None,
    offered: tuple[str, ...] = (),
) -> LedgerImage:
    """An image of the build in the ledger, made from what the build says now; `installed` are versions by name."""
    of = of.model_copy(update={"version": version_of(release), "release": None, "revision": None})
    planned = PlannedImage(of, release, revision, digest(of, release), of.end_of_life, offered=offered)
    return applied(planned, verified=verified, adopted=adopted, installed=installed)


def applied(
    planned: PlannedImage,
    *,
    verified: bool = True,
    adopted: bool = False,
    installed: Mapping[str, str] | None = None,
) -> LedgerImage:
    spec = planned.to_spec(OWNER, CLOUD, BuildVm(), "releases")
    omi = planned.existing.omi if planned.existing else omi_id(planned.name)
    record = make_record(
        name=planned.name,
        omi=omi,
        snapshots=(omi.replace("ami", "snap"),),
        created=datetime(2026, 11, 1, tzinfo=UTC),
        build_seconds=None if planned.existing else 60,
        verified=verified,
        adopted=adopted,
        installed=tuple(f"{name}={version}" for name, version in installed.items()) if installed else None,
    )
    return LedgerImage(planned.name, spec, record, StoredCommand("build", "update", "delete", spec.to_json()))


def aged(image: LedgerImage, days: int) -> LedgerImage:
    """The same image made so many days before TODAY."""
    day = datetime(TODAY.year, TODAY.month, TODAY.day, 23, 59, tzinfo=UTC) - timedelta(days=days)
    return replace(image, record=image.record.model_copy(update={"created": day}))


def in_region(image: LedgerImage, region: str) -> LedgerImage:
    """The same image made in a further Region."""
    resource = f"{image.name}@{region}"
    further = {region: FurtherRegion(cloud=Endpoints(osc_profile=region))}
    cloud = Settings(region="eu-west-2", regions=further).cloud_access(region)
    spec = image.spec.model_copy(update={"cloud": cloud, "resource": resource})
    record = image.record.model_copy(update={"region": region})
    return LedgerImage(resource, spec, record, replace(image.command, stdin=spec.to_json()))


def omi_id(name: str) -> str:
    return f"ami-{name}"


def offer(**versions: str) -> Offer:
    """One repository with these packages."""
    return Offer([(None, Index({name.replace("_", "-"): (version,) for name, version in versions.items()}))])


def ledger(*images: LedgerImage) -> Ledger:
    return Ledger.of(images)


def upstream(*releases: str, end_of_life: date | None = FAR, reached: bool = True) -> Upstream:
    """Upstream where each of these is its branch's newest, on the mirror too if it can be reached."""
    branches = tuple(Branch(version_of(one), (one,), end_of_life, ("x86_64",)) for one in releases)
    mirror = {(version_of(one), "x86_64"): MirrorRelease(one) for one in releases} if reached else {}
    return Upstream(branches, mirror)


def account(*images: LedgerImage | AccountImage, missing: Iterable[LedgerImage] = ()) -> AccountView:
    """An account that holds these, the ledger's as the ledger says; no read shows those that are `missing`."""
    views = (image if isinstance(image, AccountImage) else seen(image) for image in images)
    return AccountView.of(views, None, (image.record.omi for image in missing))


def seen(image: LedgerImage, **values: Any) -> AccountImage:
    told: dict[str, Any] = {"managed": True, "digest": image.spec.digest, "access": image.spec.access}
    return AccountImage(image.name, image.record.omi, **(told | values))


def plan_of(
    builds: Iterable[Target],
    known: Upstream,
    images: Ledger,
    retention: Retention | None = None,
    **values: Any,
) -> Plan:
    retention = retention or Retention(allow_mass_prune=("all",))
    today = values.pop("today", TODAY)
    return make_plan(PlanInput(tuple(builds), known, images, retention, today, digest, **values))


def outcome(plan: Plan) -> dict[str, str]:
    """OMI name to action."""
    return {step.name: step.action.value for step in plan.steps}


def step_of(plan: Plan, name: str) -> Step:
    (found,) = (step for step in plan.steps if step.name == name)
    return found


def after(plan: Plan) -> Ledger:
    """The ledger once the engine has carried the plan out: declared images as declared, prunes gone."""
    return Ledger.of(
        _updated(step, step.image) if isinstance(step.image, LedgerImage) else _made(step, step.image)
        for step in plan.steps
        if step.action is not Action.PRUNE
    )


def _updated(step: Step, image: LedgerImage) -> LedgerImage:
    kinds = {change.kind for change in step.changes}
    if not kinds & {ChangeKind.MARK_MISSING, ChangeKind.FOUND}:
        return image
    missing = TODAY if ChangeKind.MARK_MISSING in kinds else None
    return replace(image, record=image.record.model_copy(update={"missing": missing}))


def _made(step: Step, image: PlannedImage) -> LedgerImage:
    foreign = image.existing is not None and not image.existing.managed
    made = applied(image, verified=not foreign, adopted=step.action is Action.ADOPT and foreign)
    if image.existing is None:
        today = datetime(TODAY.year, TODAY.month, TODAY.day, tzinfo=UTC)
        return replace(made, record=made.record.model_copy(update={"created": today}))
    if not foreign:
        return made
    told = {"digest": image.existing.digest, "made_by": maker_of(image.existing.tags)}
    return replace(made, record=made.record.model_copy(update=told))
