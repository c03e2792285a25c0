"""A plan as people and machines read it."""

from __future__ import annotations

import json
from collections import Counter
from typing import Any

from omi.ledger import LedgerImage
from omi.plan.model import Action, Plan, Step
from omi.show import render_columns

_COLUMNS = ("build", "image", "action", "reason")
_MARKS = {Action.BUILD: "+", Action.REBUILD: "+", Action.ADOPT: "+", Action.PRUNE: "-"}
_ORDER = (Action.BUILD, Action.REBUILD, Action.ADOPT, Action.KEEP, Action.PRUNE)


def render_table(plan: Plan) -> str:
    """Plain text, aligned: per build its new images, then those kept, then prunes; `+` `~` `-` mark what changes.

    Warnings come below, then one line of totals. Ends without a newline.
    """
    rows = [_row(step) for _, steps in plan.by_build() for step in sorted(steps, key=_rank)]
    lines = [render_columns([("", *_COLUMNS), *rows])] if rows else ["There are no images, and none is wanted."]
    lines += [f"warning: {warning}" for warning in plan.warnings]
    return "\n".join([*lines, _totals(plan)])


def _rank(step: Step) -> int:
    return _ORDER.index(step.action)


def _row(step: Step) -> tuple[str, ...]:
    mark = "~" if step.updates else _MARKS.get(step.action, "")
    return (mark, step.build, step.name, step.action.value, step.reason)


def _totals(plan: Plan) -> str:
    counts = Counter(step.action for step in plan.steps)
    return ", ".join(f"{counts[action]} to {action.value}" for action in _ORDER if counts[action]) or "nothing to do"


def plan_json(plan: Plan) -> str:
    """The same for machines: an object with `format`, `changes`, `steps` and `warnings`; sorted keys, indented."""
    value = {
        "format": 1,
        "changes": plan.changes,
        "steps": [_step(step) for step in plan.steps],
        "warnings": list(plan.warnings),
    }
    return json.dumps(value, indent=2, sort_keys=True, ensure_ascii=False)


def _step(step: Step) -> dict[str, Any]:
    image = step.image
    told: dict[str, Any] = {
        "build": step.build,
        "image": step.name,
        "action": step.action.value,
        "reason": step.reason,
        "level": step.level,
        "updates": step.updates,
        "release": image.release,
        "revision": f"r{image.revision}",
    }
    if isinstance(image, LedgerImage):
        return told | {"digest": image.spec.digest, "omi": image.record.omi, "adopted": image.record.adopted}
    return told | {"digest": image.digest, "omi": image.existing.omi if image.existing else None}
