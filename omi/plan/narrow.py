"""Narrows a plan to one action on some builds, for a one-off run."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

from omi.config.one_off import OneOff
from omi.plan.model import Action, Plan, Step
from omi.plan.reasons import Because
from omi.profile.check import nearest
from omi.state.ledger import LedgerImage
from omi.support.errors import SettingsError

_ACTIONS = {
    "build": frozenset((Action.BUILD, Action.ADOPT, Action.RECOVER)),
    "prune": frozenset((Action.PRUNE,)),
}


def narrowed(plan: Plan, images: Sequence[LedgerImage], one_off: OneOff) -> Plan:
    """The plan with only the wanted steps; the other images, which are `images`, stay as state holds them.

    Raises SettingsError for a build that neither the profile nor the ledger has.
    """
    for name in one_off.builds:
        if name not in plan.builds:
            hint = nearest(name, plan.builds) or f"; there are: {', '.join(sorted(plan.builds)) or 'none'}"
            raise SettingsError(f"{one_off.action}: {name!r} is not a build of the profile or the ledger{hint}")
    refused = () if one_off.action == "build" else plan.refused
    return replace(plan, steps=tuple(_steps(plan, images, one_off)), refused=refused)


def _steps(plan: Plan, images: Sequence[LedgerImage], one_off: OneOff) -> Iterator[Step]:
    held: dict[tuple[str | None, str], LedgerImage] = {(image.region, image.name): image for image in images}
    builds = one_off.builds or "all builds"
    elsewhere = Because.NOT_IN_RUN(action=one_off.action, builds=builds)
    for step in plan.steps:
        image = held.get((step.image.region, step.name))
        is_of_them = not one_off.builds or step.build in one_off.builds
        if is_of_them and step.action in _ACTIONS[one_off.action] and one_off.level in (None, step.level):
            yield step
        elif image is not None:
            why = step.why if is_of_them and step.action is Action.KEEP else elsewhere  # why it stays, of those
            yield replace(step, image=image, action=Action.KEEP, why=why, level=None, changes=())
