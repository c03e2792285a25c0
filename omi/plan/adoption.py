"""OMIs made elsewhere that the stack's config names: they join the ledger as they are and are never deregistered."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

from omi.config.regions import Region
from omi.config.settings import Adoption, Settings
from omi.plan import Action, Plan, PlannedImage, Step
from omi.plan.input import Digest
from omi.plan.reasons import Because
from omi.plan.survey import Survey
from omi.profile.model import Target
from omi.state.account import AccountImage
from omi.state.image import ImageRecord
from omi.state.ledger import Ledger, LedgerImage, StoredCommand
from omi.state.owner import maker_of
from omi.support.version import version_of


def newcomers(settings: Settings, region: Region, seen: Survey, digest: Digest) -> tuple[list[LedgerImage], list[str]]:
    """The images of a Region that `adopt` names and the ledger doesn't hold yet, as it will hold them; and warnings.

    Each stands for what today's profile wants, so that adopting one builds nothing.
    """
    found, warnings = [], []
    builds = {build.name: build for build in seen.profile.builds}
    held = {name for image in region.ledger.images for name in (image.name, image.record.omi)}
    account = seen.accounts[region.name]
    for entry in settings.adopt:
        if (entry.region or settings.region) != region.name:
            continue
        if {entry.name, entry.omi} & held or (settings.builds and entry.build not in settings.builds):
            continue
        build, image = builds.get(entry.build), account.by_omi.get(entry.omi)
        if image is None or image.name != entry.name:
            warnings.append(f"adopt: {entry.omi} ({entry.name}) is not in the account: take it out of the list")
        elif build is None or build.version != version_of(entry.release):
            warnings.append(
                f"adopt: {entry.name}: {entry.build} is no build of the profile for release {entry.release}"
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
    resource = region.resource_of(entry.name)
    planned = PlannedImage(
        build,
        entry.release,
        entry.revision,
        digest(build, entry.release),
        seen.memory.last_day(build.version, [build.end_of_life], seen.upstream, seen.today),
        resource=None if resource == entry.name else resource,
    )
    spec = planned.to_spec(seen.owner, region.access, region.vm, settings.releases_dir)
    spec = spec.model_copy(update={"name": entry.name})
    account, maker = seen.accounts[region.name].account or "", None if image.managed else maker_of(image.tags)
    record = ImageRecord.found(
        entry.name, entry.omi, account, region.name, adopted=not image.managed, digest=image.digest, made_by=maker
    )
    return LedgerImage(resource, spec, record, StoredCommand.of("adopt", spec))


def joined(ledger: Ledger, images: Sequence[LedgerImage]) -> Ledger:
    """The ledger as if it held these, too."""
    return Ledger.of([*ledger.images, *images]) if images else ledger


def dropped(plan: Plan, images: Sequence[LedgerImage]) -> Iterator[Step]:
    """The prunes among them: nothing is adopted only to be forgotten at once."""
    names = {image.name for image in images}
    return (step for step in plan.of(Action.PRUNE) if step.name in names)


def as_adoptions(plan: Plan, images: Sequence[LedgerImage]) -> Plan:
    """The plan with these as adoptions instead of keeps."""
    by_name = {image.name: image for image in images}
    steps = (
        _adoption(step, by_name[step.name]) if step.name in by_name and step.action is Action.KEEP else step
        for step in plan.steps
    )
    return replace(plan, steps=tuple(steps))


def _adoption(step: Step, image: LedgerImage) -> Step:
    """As it is found: what is to change of it is for the next update."""
    why = Because.NAMED_IN_ADOPT(omi=image.record.omi, then=step.why)
    return replace(step, image=image, action=Action.ADOPT, why=why, changes=())
