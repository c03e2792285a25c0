"""Recovers images that the stack's state has lost, from their tags in the account."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterator, Sequence
from dataclasses import replace
from datetime import date

from pydantic import ValidationError

from omi.config.regions import Region
from omi.config.settings import Settings
from omi.plan import Action, Plan, PlannedImage, Step
from omi.plan.model import ChangeKind
from omi.plan.reasons import Because
from omi.plan.stages import as_revoked
from omi.plan.survey import Survey
from omi.profile.model import Access
from omi.state.account import AccountImage
from omi.state.image import ImageRecord, ImageSpec, TakeOver
from omi.state.ledger import Ledger, LedgerImage, StoredCommand
from omi.state.owner import CLAIM, STACK_ID, STANDS_FOR, Owner, build_id_of
from omi.state.withdrawal import Stage, Withdrawal
from omi.support.errors import first_problem


def lost_images(settings: Settings, region: Region, seen: Survey) -> tuple[list[LedgerImage], list[str]]:
    """The images that `recover` asks for in a Region and the ledger lacks, as it will hold them; and warnings."""
    asked = settings.recover
    if asked is None or not region.is_wanted:
        return [], []
    found, warnings = [], []
    held = {name for image in region.ledger.images for name in image.names}
    account = seen.accounts[region.name]
    for image in account.images:
        if (
            not seen.owner.owns(image.tags)
            or {image.name, image.omi} & held
            or (asked.images and image.name not in asked.images)
        ):
            continue
        if not image.managed:
            warnings.append(f"recover: {image.omi} ({image.name}) is left: its build id is not the one of its name")
            continue
        if not image.verified_by(seen.owner):
            warnings.append(
                f"recover: {image.omi} ({image.name}) is left: neither tag nor description marks it as verified"
            )
            continue
        try:
            found.append(_as_held(image, account.account or "", region, settings, seen.today))
        except ValidationError as error:
            warnings.append(
                f"recover: {image.omi} ({image.name}) is left: its tags lack what keeps it: {first_problem(error)}"
            )
    return found, warnings


def interrupted_images(
    settings: Settings, region: Region, seen: Survey, plan: Plan, revoked: Collection[str]
) -> tuple[list[LedgerImage], list[str]]:
    """Find the stack's own verified images that the ledger lacks and that are to be taken in as they are.

    These are the ones that the plan lacks, too, and no record can claim: a run was killed before it wrote the record,
    and the plan wants another image by now. Of one with a claim there is only a warning, since it may belong to another
    record, and so there is of one whose content (a digest) is `revoked`. Others are withdrawn, by `revoked` or by their
    tags, and stay so: of the plan's own accord one would be adopted as a current image.
    """
    if not region.is_wanted:
        return [], []
    found, warnings = [], []
    planned = {step.name for step in plan.steps}
    adopted = {step.name for step in plan.of(Action.ADOPT) if isinstance(step.image, PlannedImage)}
    account = seen.accounts[region.name]
    for image in account.images:
        if not image.managed or not image.verified_by(seen.owner):
            continue
        is_lost = image.name not in planned
        is_revoked = is_lost and not image.names.isdisjoint(settings.revoked)
        is_withdrawn = is_revoked or (image.name in adopted and image.is_private)
        if not is_withdrawn and (not is_lost or STANDS_FOR in image.tags or settings.recover is not None):
            continue
        if (CLAIM in image.tags or image.digest in revoked) and not is_withdrawn:
            warnings.append(
                f"{image.omi} ({image.name}) is this stack's own and verified, but not in its state: if no other state "
                f"holds it, run `python -m omi recover -s {seen.owner.stack} {image.name}`"
            )
            continue
        try:
            found.append(_as_held(image, account.account or "", region, settings, seen.today))
        except ValidationError as error:
            warnings.append(
                f"{image.omi} ({image.name}) is this stack's own, but can't be taken in as it was: its tags lack what "
                f"keeps it: {first_problem(error)}; put them back"
            )
    return found, warnings


def _as_held(image: AccountImage, account: str, region: Region, settings: Settings, today: date) -> LedgerImage:
    """The image as its tags have it; one that is revoked by now is withdrawn at once."""
    spec = _spec(image, region, settings.releases_dir)
    record = ImageRecord.found(image.name, image.omi, account, region.name, verified=True, adopted=False)
    held = LedgerImage(spec.run, spec, record, StoredCommand.of("adopt", spec))
    return as_revoked(held, settings.revoked, today)


def _spec(image: AccountImage, region: Region, releases_dir: str) -> ImageSpec:
    """The spec to keep it by, made from its tags; ValidationError if one is missing or wrong."""
    tags = image.tags
    given = {key: tags[key] for key in Withdrawal.model_fields if key in tags}
    withdrawal = Withdrawal.model_validate(given) if "stage" in tags else None
    is_private = withdrawal is not None and withdrawal.stage is Stage.PRIVATE
    taken_over = STANDS_FOR in tags
    needed = ("project", "stack", "profile", "build", "arch", "release", "revision", "digest")
    owner = Owner(tags.get("project", ""), tags.get("stack", ""), tags[STACK_ID])
    return ImageSpec.model_validate(
        {
            **{key: tags[key] for key in needed if key in tags},
            **({"digest": tags[STANDS_FOR]} if taken_over else {}),
            "stack_id": owner.stack_id,
            "name": image.name,
            "description": _described(image, owner, withdrawal),
            "end_of_life": tags.get("end-of-life"),
            "offered": tuple(tags.get("offered", "").split()),
            "bootstrap": tags.get("bootstrap"),
            "user": tags.get("user"),
            "access": Access.of(tags.get("access", "private")) if is_private else image.access or Access(),
            "withdrawal": withdrawal,
            "cloud": region.access,
            "releases_dir": releases_dir,
            "resource": region.resource_of(image.name),
            "recipe": None,
            "take_over": TakeOver(omi=image.omi, login=None, vm=region.vm) if taken_over else None,
        }
    )


def _described(image: AccountImage, owner: Owner, withdrawal: Withdrawal | None) -> str:
    """Its description without the stack's additions; its name if it has none."""
    told = image.description.partition(f" ({build_id_of(owner, image.name)}")[0]
    return told.removesuffix(f"; {withdrawal}") or image.name


def as_recovered(plan: Plan, images: Sequence[LedgerImage], ledger: Ledger) -> Plan:
    """The plan that recovers these as they are; other changes follow in a later update.

    It neither prunes nor withdraws an image of their builds yet, since state doesn't hold the recovered ones before the
    update.
    """
    by_name = {image.name: image for image in images}
    held = {image.name: image for image in ledger.images}
    builds = {image.build for image in images}

    def recovered(step: Step) -> Step:
        if (image := by_name.get(step.name)) is not None:
            why = Because.LOST(omi=image.record.omi)
            why = why.also(step.why) if step.why.because.is_current else why
            if image.is_revoked and image.spec.withdrawal:
                why = why.also(Because.REVOKED(reason=image.spec.withdrawal.reason))
            return replace(step, image=image, action=Action.RECOVER, why=why, level=None, changes=())
        if step.build not in builds or step.name not in held:
            return step
        goes_private = ChangeKind.MAKE_PRIVATE in (change.kind for change in step.changes)
        if step.action is Action.PRUNE or (goes_private and not _is_revoked(step)):
            why = Because.AWAITS_RECOVERED(then=step.why)
            return replace(step, image=held[step.name], action=Action.KEEP, why=why, level=None, changes=())
        return step

    return replace(plan, steps=tuple(map(recovered, plan.steps))) if images else plan


def _is_revoked(step: Step) -> bool:
    return isinstance(step.image, LedgerImage) and step.image.is_revoked


def warnings_of(settings: Settings, seen: Survey, plan: Plan, *, is_empty: bool) -> Iterator[str]:
    """Warn if there is nothing left to recover, or if an empty state may have lost its images."""
    if settings.recover is not None:
        if not plan.of(Action.RECOVER):
            yield "recover: there is nothing to recover any more: take it out by `pulumi config rm recover`"
    elif is_empty:
        for stack_id, count in lost_stacks(seen).items():
            yield (
                f"the account holds {count} verified images of a stack of this name (stack id {stack_id}), and this "
                f"state holds none: if that state is lost, run `python -m omi recover -s {seen.owner.stack}` before "
                "anything else; if it lives on, this stack is another, and those images are external to it"
            )


def lost_stacks(seen: Survey) -> dict[str, int]:
    """The number of verified images that bear this project's and stack's names, by stack id, without the own id."""
    own = seen.owner
    return Counter(
        image.tags[STACK_ID]
        for account in seen.accounts.values()
        for image in account.images
        if image.tags.get("project") == own.project
        and image.tags.get("stack") == own.stack
        and image.tags.get(STACK_ID, own.stack_id) != own.stack_id
        and image.verified_by(replace(own, stack_id=image.tags[STACK_ID]))
    )
