"""Adopts existing OMIs that the stack's config names: they join the ledger as they are.

The stack never deregisters them, except those with `own: true`. These an update's command takes over, and only a later
plan may change or prune them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from omi.config.regions import Region
from omi.config.settings import Adoption, Settings
from omi.plan import Action, Plan, PlannedImage, Step
from omi.plan.input import Digest
from omi.plan.model import Change, ChangeKind
from omi.plan.reasons import Because
from omi.plan.stages import as_revoked
from omi.plan.survey import Survey
from omi.profile.model import Access, Target
from omi.state.account import AccountImage
from omi.state.image import BuildVm, ImageRecord, ImageSpec, TakeOver
from omi.state.ledger import Ledger, LedgerImage, StoredCommand
from omi.state.owner import ANOTHERS, maker_of
from omi.support.version import version_of


def newcomers(settings: Settings, region: Region, seen: Survey, digest: Digest) -> tuple[list[LedgerImage], list[str]]:
    """The images that `adopt` names in a Region and the ledger lacks, as it will hold them; and warnings.

    Each counts as the image that today's profile wants, so adopting one builds nothing.
    """
    found, warnings = [], []
    builds = {build.name: build for build in seen.profile.builds}
    held = {name for image in region.ledger.images for name in image.names}
    account = seen.accounts[region.name]
    for named in sorted(settings.adopt, key=lambda entry: not entry.own):
        if (named.region or settings.region) != region.name:
            continue
        entry, maker = _as_tagged(named, seen, region), _stack_of(account.by_omi.get(named.omi))
        if named.own and maker is not None:
            warnings.append(
                f"adopt: {named.omi} ({named.name}) is made by {maker}, so it is not taken over: {ANOTHERS}"
            )
        if {entry.name, entry.omi} & held:
            continue
        build, image = builds.get(entry.build), account.by_omi.get(entry.omi)
        if image is None or image.name != entry.name:
            warnings.append(f"adopt: {entry.omi} ({entry.name}) is not in the account: take it out of the list")
        elif build is None or build.version != version_of(entry.release):
            warnings.append(
                f"adopt: {entry.name}: {entry.build} is not a build of the profile for release {entry.release}"
            )
        else:
            found.append(_as_held(settings, region, seen, build, entry, image, digest))
            held |= {entry.name, entry.omi}
    return found, warnings


def _as_held(
    settings: Settings,
    region: Region,
    seen: Survey,
    build: Target,
    entry: Adoption,
    image: AccountImage,
    digest: Digest,
) -> LedgerImage:
    planned = PlannedImage(
        build,
        entry.release,
        entry.revision,
        digest(build, entry.release),
        seen.memory.last_day(build.version, [build.end_of_life], seen.upstream, seen.today),
        resource=region.resource_of(entry.name),
    )
    spec = planned.to_spec(seen.owner, region.access, region.vm, settings.releases_dir)
    spec = spec.model_copy(update={"name": entry.name})
    external = not image.managed
    if entry.own and (external or seen.owner.has_taken_over(image.name, image.tags)):
        spec, external = _taken_over(spec, entry, image, build.user, region.vm), False
    account, maker = seen.accounts[region.name].account or "", None if image.managed else maker_of(image.tags)
    record = ImageRecord.found(
        entry.name, entry.omi, account, region.name, adopted=external, digest=image.digest, made_by=maker
    )
    held = LedgerImage(spec.run, spec, record, StoredCommand.of("adopt", spec))
    return as_revoked(held, settings.revoked, seen.today) if image.managed else held


def _stack_of(image: AccountImage | None) -> str | None:
    """The other stack whose id an OMI bears. It may still exist, whatever a copied config says."""
    return None if image is None or image.managed else maker_of(image.tags)


def _as_tagged(entry: Adoption, seen: Survey, region: Region) -> Adoption:
    """The entry, corrected by the OMI's tags: another stack owns it, or this one since an interrupted update."""
    image = seen.accounts[region.name].by_omi.get(entry.omi)
    if image is not None and seen.owner.has_taken_over(image.name, image.tags) and not entry.own:
        return entry.model_copy(update={"own": True, "verify": False})
    return entry.model_copy(update={"own": False}) if entry.own and _stack_of(image) else entry


def _as_entry(image: LedgerImage) -> Adoption:
    """An external image as an entry of `adopt` names it."""
    return Adoption(name=image.name, omi=image.record.omi, build=image.build, release=image.release)


def _taken_over(spec: ImageSpec, entry: Adoption, image: AccountImage, login: str, vm: BuildVm) -> ImageSpec:
    """The spec of an external image as one of the stack's own, with only what the account knows of it."""
    user = (entry.user or login) if entry.verify else entry.user
    check = TakeOver(omi=entry.omi, login=user if entry.verify else None, vm=vm)
    known = {"description": image.description, "access": image.access or Access(), "user": user}
    return spec.model_copy(update={**known, "bootstrap": None, "offered": (), "recipe": None, "take_over": check})


@dataclass(frozen=True)
class TakeOvers:
    """The images of one Region that the stack is to own after this update."""

    entries: Mapping[str, Adoption]
    """By name: external images of the ledger, and new ones."""
    region: Region
    seen: Survey

    @classmethod
    def of(cls, settings: Settings, region: Region, seen: Survey, new: Sequence[LedgerImage]) -> TakeOvers:
        """The take-overs among the ledger's images and the `new` ones."""
        named = {
            (entry.name, entry.omi): entry
            for entry in sorted(settings.adopt, key=lambda entry: entry.own)
            if (entry.region or settings.region) == region.name
        }
        account = seen.accounts[region.name]
        held = [
            image for image in region.ledger.images if image.record.adopted and image.record.omi not in account.missing
        ]
        joining = [image for image in new if image.spec.take_over is not None]
        entries = [
            _as_tagged(named.get((image.name, image.record.omi)) or _as_entry(image), seen, region)
            for image in (*held, *joining)
        ]
        return cls({entry.name: entry for entry in entries if entry.own}, region, seen)

    def spared(self, settings: Settings) -> Settings:
        """The settings with these images protected, since a stack prunes only its own."""
        protect = (*settings.retention.protect, *self.entries)
        return settings.model_copy(update={"retention": settings.retention.model_copy(update={"protect": protect})})

    def planned(self, plan: Plan, settings: Settings) -> Plan:
        """The plan for the spared images, changed to take them over."""
        return replace(plan, steps=tuple(self._step(step, settings) for step in plan.steps))

    def _step(self, step: Step, settings: Settings) -> Step:
        entry, image = self.entries.get(step.name), step.image
        if entry is None or not isinstance(image, LedgerImage):
            return step
        protected = not image.names.isdisjoint(settings.retention.protect)
        unprotects = not protected and not image.names.isdisjoint(self.seen.memory.protected)
        step = replace(step, protected=protected, unprotects=unprotects)
        found = self.seen.accounts[self.region.name].by_omi.get(entry.omi)
        if found is None or step.action not in (Action.KEEP, Action.ADOPT):
            return step
        login = next((each.user for each in self.seen.profile.builds if each.name == image.build), None)
        spec = _taken_over(image.spec, entry, found, login or Target.model_fields["user"].default, self.region.vm)
        check, image = spec.take_over, replace(image, spec=spec, command=StoredCommand.of("adopt", spec))
        owner = self.seen.owner
        if (
            check is not None
            and owner.has_taken_over(found.name, found.tags)
            and (found.verified_by(owner) or not check.login)
        ):
            why = Because.OWN_ALREADY(omi=entry.omi)
        elif check is not None and check.login:
            why = Because.OWN_ONCE_CHECKED(omi=entry.omi, maker=found.maker, login=check.login)
        else:
            why = Because.OWN_UNVERIFIED(omi=entry.omi, maker=found.maker)
        if step.action is Action.ADOPT:
            return replace(step, why=why)
        changes = (*step.changes, Change(ChangeKind.TAKE_OVER, why))
        return replace(step, image=image, why=why, changes=changes)


def joined(ledger: Ledger, images: Sequence[LedgerImage]) -> Ledger:
    """The ledger with these images added."""
    return Ledger.of([*ledger.images, *images])


def as_adoptions(plan: Plan, images: Sequence[LedgerImage]) -> Plan:
    """The plan that adopts these instead of keeping them; changes wait for the next update."""
    by_name = {image.name: image for image in images}

    def adopted(step: Step) -> Step:
        if (image := by_name.get(step.name)) is None or step.action is not Action.KEEP:
            return step
        why = Because.NAMED_IN_ADOPT(omi=image.record.omi, then=step.why)
        return replace(step, image=image, action=Action.ADOPT, why=why, changes=())

    return replace(plan, steps=tuple(map(adopted, plan.steps)))
