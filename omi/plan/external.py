"""Describes external OMIs: their maker, their content, and how to get an image of one's own instead."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from omi.plan.model import Action, PlannedImage, Step
from omi.plan.reasons import Because, Reason
from omi.state.ledger import LedgerImage


def holding(digest: str | None, wanted: str) -> Reason:
    """Compare an external OMI's content, by its tag, with the wanted one."""
    if digest is None:
        return Because.HOLDS_UNKNOWN()
    return Because.HOLDS_SAME() if digest == wanted else Because.HOLDS_OTHER(digest=digest)


def differing(steps: Sequence[Step]) -> Iterator[str]:
    """Warn of external OMIs that stand for a build but have another content; `steps` are in order."""
    seen: set[str] = set()
    for step in steps:
        if step.action is Action.PRUNE or step.build in seen:
            continue
        seen.add(step.build)  # the newest image, which users get for this build
        omi, maker, digest = _external(step.image)
        if digest not in (None, step.image.digest):
            yield (
                f"{step.name}: {omi}, made by {maker}, holds other content than {step.build} asks for ({digest}), and "
                f"nothing is built in its place; to have an image of your own, give {step.build} another `suffix` in "
                "the profile"
            )


def _external(image: PlannedImage | LedgerImage) -> tuple[str, str, str | None]:
    """Its id, its maker and the digest in its tags; no digest if it is not external."""
    if isinstance(image, LedgerImage):
        return image.record.omi, image.record.maker, image.record.digest if image.record.adopted else None
    found = image.existing
    return (found.omi, found.maker, found.digest) if found is not None and not found.managed else ("", "", None)
