"""Prints a plan for people and machines."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from dataclasses import asdict
from typing import Any

from omi.plan.model import Action, ChangeKind, Plan, Step
from omi.plan.packages import NewerPackages
from omi.state.ledger import LedgerImage
from omi.state.show import render_columns

_MARKS = {Action.BUILD: "+", Action.ADOPT: "+", Action.RECOVER: "+", Action.PRUNE: "-"}
_ORDER = (Action.BUILD, Action.ADOPT, Action.RECOVER, Action.KEEP, Action.PRUNE)


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
    """The plan for machines: an object with `format`, `changes`, `steps`, `warnings`, `refused`; sorted, indented."""
    value = {
        "format": 1,
        "changes": plan.changes,
        "steps": [_step(step) for step in plan.steps],
        "warnings": list(plan.warnings),
        "refused": list(plan.refused),
    }
    return json.dumps(value, indent=2, sort_keys=True, ensure_ascii=False)


def _step(step: Step) -> dict[str, Any]:
    image = step.image
    told: dict[str, Any] = {
        "build": step.build,
        "image": step.name,
        "action": step.action.value,
        "reason": step.reason,
        "packages": [asdict(each) for newer in step.why.values_of(NewerPackages) for each in newer.packages],
        "level": step.level,
        "updates": step.updates,
        "changes": [{"change": change.kind.value, "reason": change.reason} for change in step.changes],
        "stage": step.stage.value,
        "region": step.region,
        "release": image.release,
        "revision": f"r{image.revision}",
    }
    if isinstance(image, LedgerImage):
        withdrawal = image.spec.withdrawal
        removal = withdrawal.removal.isoformat() if withdrawal and withdrawal.removal else None
        held = {"digest": image.record.digest_by(image.spec), "omi": image.record.omi, "adopted": image.record.adopted}
        return told | held | {"removal": removal}
    digest = image.existing.digest if image.existing else image.digest
    return told | {"digest": digest, "omi": image.existing.omi if image.existing else None, "removal": None}
