"""The images that a Region with `images: copy` wants: those that are current in the home Region."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from omi.plan.model import Action, ChangeKind, Plan, PlannedImage, Step
from omi.plan.reasons import Because
from omi.profile.model import Target
from omi.state.image import CloudAccess
from omi.state.ledger import LedgerImage

Sources = Mapping[str, PlannedImage | LedgerImage]
"""By build: the image of the home Region that other Regions copy."""


def sources_of(home: Plan) -> Sources:
    """By build: the image that the home Region will have, else its current one, else its newest; only of this stack."""
    found: dict[str, PlannedImage | LedgerImage] = {}
    for build, steps in home.declared():
        current_first = sorted(filter(_is_there, steps), key=_rank)
        image = next((step.image for step in current_first), None)
        if isinstance(image, PlannedImage):
            is_good = not image.is_external
        else:
            is_good = image is not None and image.made_here and image.record.verified
        if image is not None and is_good:
            found[build] = image
    return found


def _is_there(step: Step) -> bool:
    """Whether the image can be copied once the home Region's part is done."""
    if isinstance(step.image, PlannedImage):
        return True
    is_missing = step.image.record.missing is not None or ChangeKind.MARK_MISSING in (one.kind for one in step.changes)
    return not (is_missing or step.image.is_revoked)


def _rank(step: Step) -> tuple[bool, bool]:
    return not isinstance(step.image, PlannedImage), not any(part.because.is_current for part in step.why.parts)


def pinned(builds: Sequence[Target], sources: Sources) -> list[Target]:
    """The builds, each pinned to the image of the home Region."""
    return [
        build.model_copy(update={"release": source.release, "revision": source.revision, **_named(build, source)})
        if (source := sources.get(build.name)) is not None
        else build
        for build in builds
    ]


def _named(build: Target, source: PlannedImage | LedgerImage) -> dict[str, str]:
    """The template of the source's name, if the profile has given its successors another one."""
    if build.image_name(source.release, source.revision) == source.name:
        return {}
    head, _, tail = source.name.rpartition(f"r{source.revision}")
    return {"name_template": f"{head}{{revision}}{tail}"}


def as_copies(plan: Plan, builds: Sequence[Target], sources: Sources, region: str, home: CloudAccess) -> Plan:
    """The plan for `pinned` builds, changed to copy them, and with only the profile's own pins. Names stay pinned."""
    own = {build.name: build for build in builds}
    return replace(plan, steps=tuple(_as_copy(step, own, sources, region, home) for step in plan.steps))


def _as_copy(step: Step, own: Mapping[str, Target], sources: Sources, region: str, home: CloudAccess) -> Step:
    source, build = sources.get(step.build), own.get(step.build)
    if source is None or build is None:
        return step
    why = step.why.replacing(Because.CURRENT_PINNED_REVISION, Because.CURRENT_AS_IN(region=home.region))
    if not isinstance(step.image, PlannedImage):
        return replace(step, why=why)
    pins = {"release": build.release, "revision": build.revision}
    image = replace(step.image, target=step.image.target.model_copy(update=pins), copy_from=home)
    if step.action is Action.BUILD:
        why = Because.COPIED(revision=source.revision, home=home.region, region=region)
    return replace(step, image=image, why=why)
