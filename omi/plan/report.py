"""Prints a plan for people and machines."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from datetime import date
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from omi.plan.model import Action, ChangeKind, Plan, Step
from omi.plan.packages import NewerPackage, NewerPackages
from omi.state.ledger import LedgerImage
from omi.state.show import render_columns
from omi.state.withdrawal import Stage

_MARKS = {Action.BUILD: "+", Action.ADOPT: "+", Action.RECOVER: "+", Action.PRUNE: "-"}
_ORDER = (Action.BUILD, Action.ADOPT, Action.RECOVER, Action.KEEP, Action.PRUNE)


class _Document(BaseModel):
    model_config = ConfigDict(frozen=True, json_schema_serialization_defaults_required=True, defer_build=True)


class PlannedChange(_Document):
    """A change of an image as others see it."""

    change: ChangeKind
    reason: str


class PlannedStep(_Document):
    """One image and its action."""

    build: str = Field(description="The build's name in its profile.")
    image: str = Field(description="The OMI's name.")
    action: Action
    reason: str = Field(description="Why, for people.")
    packages: tuple[NewerPackage, ...] = Field(description="The newer packages that are the reason to build.")
    level: str | None = Field(
        description="Of a prune: end-of-life, release, edge or revision; profile or region if removed from there; gone."
    )
    updates: bool = Field(description="Whether a kept image's command runs its update.")
    changes: tuple[PlannedChange, ...]
    stage: Stage = Field(description="Its stage afterwards.")
    region: str | None = Field(description="Its Region.")
    release: str = Field(description="Alpine's release: 3.23.6, or edge-20261124.")
    revision: str = Field(description="r0 is the first image of a release.")
    digest: str | None = Field(description="Digest of all that decides its content, where that is known.")
    omi: str | None = Field(description="The OMI's id; null of one to be built.")
    adopted: bool = Field(False, description="Whether state holds it as made elsewhere.")
    removal: date | None = Field(None, description="From this day on it may be deregistered, where that is known.")


class PlanDocument(_Document):
    """A plan for programs."""

    model_config = ConfigDict(title="What alpine-omi plans")

    format: Literal[1] = 1
    changes: bool = Field(description="Whether an update would change anything.")
    steps: tuple[PlannedStep, ...]
    warnings: tuple[str, ...]
    refused: tuple[str, ...] = Field(description="Parts that the guard refuses.")


def render_table(plan: Plan) -> str:
    """Aligned text: for each build its new images, then those kept, then prunes; `+` `~` `-` mark changes.

    Each change of a kept image as others see it has a row instead of the image's own. If the stack has several Regions,
    each row names its Region. Warnings and refusals come below, then a line of totals.
    """
    several = len(plan.regions) > 1
    head = ("", *(("region",) if several else ()), "build", "image", "action", "reason")
    steps = [step for _, of_build in plan.by_build() for step in sorted(of_build, key=lambda step: _rank(step, plan))]
    rows = [
        (mark, step.region or "", *row) if several else (mark, *row) for step in steps for mark, *row in _rows(step)
    ]
    lines = [render_columns([head, *rows])] if rows else ["There are no images, and none is wanted."]
    lines += [f"warning: {warning}" for warning in plan.warnings]
    lines += [f"refused: {refusal}" for refusal in plan.refused]
    return "\n".join([*lines, totals(plan)])


def _rank(step: Step, plan: Plan) -> tuple[int, int]:
    """Order by Region, as in the steps, and within one by action."""
    place = plan.regions.index(step.region) if step.region in plan.regions else 0
    return place, _ORDER.index(step.action)


def _rows(step: Step) -> Iterator[tuple[str, ...]]:
    """A row for the image's action, and one for each change as others see it."""
    if not step.updates:
        yield (_MARKS.get(step.action, ""), step.build, step.name, step.action.value, step.reason)
    for change in step.changes:
        yield ("~", step.build, step.name, change.kind.value, change.reason)


def totals(plan: Plan) -> str:
    """The plan in one line."""
    actions = Counter(step.action for step in plan.steps if not step.updates)
    changes = Counter(change.kind for step in plan.steps for change in step.changes)
    told = [(actions[action], action.value) for action in _ORDER]
    told += [(changes[kind], kind.value) for kind in ChangeKind]
    return ", ".join(f"{count} to {what}" for count, what in told if count) or "nothing to do"


def plan_json(plan: Plan) -> str:
    """The plan for programs: a PlanDocument, indented."""
    document = PlanDocument(
        changes=plan.changes,
        steps=tuple(_planned(step) for step in plan.steps),
        warnings=tuple(plan.warnings),
        refused=tuple(plan.refused),
    )
    return document.model_dump_json(indent=2)


def _planned(step: Step) -> PlannedStep:
    image = step.image
    if isinstance(image, LedgerImage):
        withdrawal = image.spec.withdrawal
        held: dict[str, Any] = {
            "digest": image.record.digest_by(image.spec),
            "omi": image.record.omi,
            "adopted": image.record.adopted,
            "removal": withdrawal.removal if withdrawal else None,
        }
    else:
        there = image.existing
        held = {"digest": there.digest if there else image.digest, "omi": there.omi if there else None}
    return PlannedStep(
        build=step.build,
        image=step.name,
        action=step.action,
        reason=step.reason,
        packages=tuple(each for newer in step.why.values_of(NewerPackages) for each in newer.packages),
        level=step.level,
        updates=step.updates,
        changes=tuple(PlannedChange(change=change.kind, reason=change.reason) for change in step.changes),
        stage=step.stage,
        region=step.region,
        release=image.release,
        revision=f"r{image.revision}",
        **held,
    )
