"""Makes a stack's plan from its settings, its ledger and the survey: one plan a Region, then joined."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

from omi.config.one_off import OneOff
from omi.config.regions import Region, errors_naming
from omi.config.settings import Settings
from omi.plan import Action, Plan, PlanInput, PlannedImage, Step, make_plan
from omi.plan.adoption import TakeOvers, as_adoptions, joined, newcomers
from omi.plan.copies import as_copies, pinned, sources_of
from omi.plan.guard import needless_names
from omi.plan.join import join_plans
from omi.plan.lacking import Stock
from omi.plan.memory import known_regions
from omi.plan.narrow import narrowed
from omi.plan.reasons import Because
from omi.plan.recovery import as_recovered, interrupted_images, lost_images, warnings_of
from omi.plan.survey import Survey
from omi.profile.digest import common_files, image_digest
from omi.profile.model import Target
from omi.profile.origins import at
from omi.state.ledger import Ledger, LedgerImage
from omi.state.withdrawal import Stage
from omi.support.places import GUEST, TEMPLATE


def plan_stack(settings: Settings, seen: Survey, one_off: OneOff | None = None) -> Plan:
    """The plan for the survey's day; for a one-off run if `only` is given.

    Reads the guest's files for the digests and nothing else; raises an OmiError.
    """
    if one_off is not None:
        settings = one_off.over(settings)
    again, site = settings.again, settings.upstream.security
    builds = tuple(
        build.model_copy(
            update={
                "again": again.get(build.name, 0),
                "security": site if build.max_missing_fixes is not None else None,
            }
        )
        for build in seen.profile.builds
    )
    seen = replace(seen, profile=replace(seen.profile, builds=builds))
    plans: list[Plan] = []
    images = [image for region in seen.regions for image in region.ledger.images]
    stocks = [Stock(build, seen.stocks[build.name], seen.profile) for build in builds if build.name in seen.stocks]
    lacking = {stock.build.name: lines for stock in stocks if (lines := tuple(stock.missing()))}
    for build in builds:
        if absent := seen.absent.get(build.name):
            lacking[build.name] = tuple(at(seen.profile, build, "repos", url) + line for url, line in absent.items())
    revoked = _revoked_content(settings, seen, images)
    content = {digest for digests in revoked.values() for digest in digests}
    whole = _Whole({image.build for image in images}, content, lacking, _asked(one_off, builds))
    for region in seen.regions:
        with errors_naming(region, seen.regions):
            further = settings.regions.get(region.name)
            if region.name in seen.unreached:
                plans.append(_wait(region, seen.unreached[region.name], settings.retention.protect))
            elif further is not None and further.images == "copy":
                plans.append(_plan_copies(settings, region, seen, whole, plans[0]))
            else:
                plans.append(_plan_region(settings, region, seen, whole))
    plan = join_plans(plans)
    unused = needless_names(plan.steps, settings.retention, plan.guarded)
    needless = [] if one_off else [*unused, *_needless(settings, seen, plan)]
    needless += [line for stock in stocks for line in stock.unbrought()]
    needless += warnings_of(settings, seen, plan, is_empty=not images)
    versions = {build.version for build in builds} | {image.version for image in images}
    memory = seen.memory.today(seen.upstream, versions, seen.today)
    protected = tuple(sorted(settings.retention.protect))
    memory = memory.model_copy(update={"protected": protected, "revoked": revoked or None})
    plan = replace(plan, warnings=(*plan.warnings, *seen.warnings, *needless), memory=memory)
    plan = narrowed(plan, images, one_off) if one_off else plan
    pruned = [step.image for step in plan.of(Action.PRUNE) if not step.claimed_elsewhere]
    gone = {image.record.omi for image in pruned if isinstance(image, LedgerImage) and not image.record.adopted}
    kept = {image.record.omi for image in images} - gone
    regions = {step.region or plan.regions[0] for step in plan.steps} | plan.copied_from
    used = {name: view.account for name, view in seen.accounts.items() if name in regions}
    known = known_regions(seen.known, seen.regions, used, plan.copied_from, seen.today)
    return replace(plan, memory=plan.memory.let_go(gone, kept, seen.today), known=known)


@dataclass(frozen=True)
class _Whole:
    """Facts that the plans of all Regions share."""

    builds: Collection[str]
    """Builds that the stack has images of."""
    revoked: Collection[str]
    """Digests of the revoked images that it has made, gone ones included, and of those that no state holds."""
    lacking: Mapping[str, Sequence[str]]
    """By build: packages that don't exist."""
    asked: Collection[str] | None
    """The builds that a person asked to build in this very run, as in PlanInput."""
    copied: Mapping[str, str] = field(default_factory=dict)
    """By build: the digest of the home Region's image that this Region copies."""

    @cached_property
    def _files(self) -> Mapping[str, Any]:
        return common_files(GUEST, TEMPLATE)

    def own_digest(self, build: Target, release: str) -> str:
        """The digest of the content that the profile asks for."""
        return image_digest(build, release, self._files)

    def digest(self, build: Target, release: str) -> str:
        """The digest of the content that this Region wants."""
        return self.copied.get(build.name) or self.own_digest(build, release)


def _asked(one_off: OneOff | None, builds: Sequence[Target]) -> Collection[str] | None:
    if one_off is None:
        return None
    return one_off.builds or [build.name for build in builds] if one_off.action == "build" else ()


def _revoked_content(settings: Settings, seen: Survey, images: Sequence[LedgerImage]) -> dict[str, tuple[str, ...]]:
    """The digests of the revoked images, by the name or id that `revoked` has: of the ledger's own, of those in the
    account that the ledger has lost, and of those that an earlier update knew and that are gone.
    """
    held = {image.record.omi for image in images}
    known = [(image.names, image.digest) for image in images if image.made_here]
    known += [
        (image.names, image.digest)
        for account in seen.accounts.values()
        for image in account.images
        if image.digest and image.omi not in held
    ]
    before, found = seen.memory.revoked or {}, {}
    for name in sorted(settings.revoked):
        if digests := {*before.get(name, ()), *(digest for names, digest in known if name in names)}:
            found[name] = tuple(sorted(digests))
    return found


def _needless(settings: Settings, seen: Survey, plan: Plan) -> Iterator[str]:
    for name in sorted(settings.again.keys() - set(plan.builds)):
        yield f"again names {name}, which is not a build of the profile or the ledger: take it out"
    images = [step.image for step in plan.steps if isinstance(step.image, LedgerImage)]
    known = {name for image in images for name in image.names}
    there = {name for account in seen.accounts.values() for image in account.images for name in image.names}
    for name in sorted(settings.revoked.keys() - known):
        if name in there:
            yield f"revoked: {name} stays as it is: the stack doesn't hold it; revoke it where it is held"
        else:
            yield f"revoked names {name}, which is not an image of the stack: take it out"
    for step in plan.steps:
        named = isinstance(step.image, LedgerImage) and step.image.names & settings.revoked.keys()
        if named and step.action is Action.KEEP and step.stage is not Stage.PRIVATE:
            yield f"revoked: {step.name} can't be made private by this stack: {step.reason}"


def _plan_region(settings: Settings, region: Region, seen: Survey, whole: _Whole) -> Plan:
    """Plan one Region."""
    lost, warnings = lost_images(settings, region, seen)
    ledger = joined(region.ledger, lost)
    named, more = newcomers(settings, replace(region, ledger=ledger), seen, whole.own_digest)
    warnings += more
    takes = TakeOvers.of(settings, region, seen, named)
    asked, settings = settings, takes.spared(settings)

    def with_wanted(ledger: Ledger) -> tuple[Plan, list[str]]:
        """The plan of this ledger and the wanted images; an image that would be forgotten at once is not adopted."""
        wanted = [image for image in named if image.name not in {held.name for held in ledger.images}]
        left = _forgotten(settings, region, joined(ledger, wanted), seen, whole) if wanted else {}
        staying = [image for image in wanted if image.name not in left]
        lines = [f"adopt: {image.name} is left alone: {left[image.name]}" for image in wanted if image.name in left]
        return as_adoptions(_plan(settings, region, joined(ledger, staying), seen, whole), staying), lines

    plan, left_alone = with_wanted(ledger)
    interrupted, more = interrupted_images(settings, region, seen, plan, whole.revoked)
    if interrupted:
        lost = [*lost, *interrupted]
        plan, left_alone = with_wanted(joined(ledger, interrupted))
    warnings += [*left_alone, *more]
    plan = as_recovered(takes.planned(plan, asked), lost, region.ledger)
    steps = tuple(_placed(step, region) for step in plan.steps)
    return replace(plan, steps=steps, warnings=(*plan.warnings, *warnings), regions=(region.name,))


def _forgotten(settings: Settings, region: Region, ledger: Ledger, seen: Survey, whole: _Whole) -> dict[str, str]:
    """By name: why a plan without the guard would let an image of this ledger go."""
    everything = settings.retention.model_copy(update={"allow_mass_prune": ("all",)})
    tried = _plan(settings.model_copy(update={"retention": everything}), region, ledger, seen, whole)
    return {step.name: step.reason for step in tried.of(Action.PRUNE)}


def _wait(region: Region, why: str, protect: Collection[str]) -> Plan:
    """Plan a Region that can't be read: everything stays as it is."""
    images = sorted(region.ledger.images, key=lambda image: image.order, reverse=True)
    unreached = Because.UNREACHED(region=region.name)
    steps = tuple(
        Step(image, Action.KEEP, unreached, protected=not image.names.isdisjoint(protect)) for image in images
    )
    warning = f"nothing is done there in this run, the next one makes up for it: {why}"
    builds = tuple(dict.fromkeys(step.build for step in steps))
    names = frozenset({"all", region.name, *builds, *(step.name for step in steps)})  # what goes is not known
    return Plan(steps, builds, (warning,), (region.name,), guarded=names)


def _plan_copies(settings: Settings, region: Region, seen: Survey, whole: _Whole, home: Plan) -> Plan:
    """Plan a Region whose images are copied from the home Region."""
    builds, sources = seen.profile.builds, sources_of(home)
    seen = replace(seen, profile=replace(seen.profile, builds=tuple(pinned(builds, sources))))
    whole = replace(whole, copied={name: source.digest for name, source in sources.items()})
    plan = _plan_region(settings, region, seen, whole)
    return as_copies(plan, builds, sources, region.name, settings.cloud_access())


def _plan(settings: Settings, region: Region, ledger: Ledger, seen: Survey, whole: _Whole) -> Plan:
    discover = seen.profile.discover
    return make_plan(
        PlanInput(
            seen.profile.builds,
            seen.upstream,
            ledger,
            settings.retention,
            seen.today,
            whole.digest,
            account=seen.accounts[region.name],
            edge_keep=discover.edge if discover is not None else None,
            offers=seen.offers,
            untrusted={name: why for name, why in seen.untrusted.items() if name not in whole.copied},
            keys_at={build.name: at(seen.profile, build, "keys") for build in seen.profile.builds},
            lacking={name: lines for name, lines in whole.lacking.items() if name not in whole.copied},
            access=settings.access_in(region.name),
            revoked=settings.revoked,
            memory=seen.memory,
            connection=region.access if region.is_wanted else None,
            releases_dir=settings.releases_dir,
            left=None if region.is_wanted else region.name,
            elsewhere=whole.builds,
            revoked_content=whole.revoked,
            copied=whole.copied,
            asked=whole.asked,
            joining={image.name for image in ledger.images} - {image.name for image in region.ledger.images},
        )
    )


def _placed(step: Step, region: Region) -> Step:
    if not isinstance(step.image, PlannedImage):
        return step
    return replace(step, image=replace(step.image, region=region.name, resource=region.resource_of(step.name)))
