"""The prune levels: which images of one live build may go. `planner.py` keeps some all the same."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import date, timedelta
from functools import partial

from omi.config.settings import Retention
from omi.plan.reasons import Because, Reason
from omi.state.ledger import LedgerImage
from omi.support.version import EDGE


@dataclass(frozen=True)
class Prune:
    """Why an image is to go."""

    level: str
    """The level as in a Step."""
    why: Reason

    def also(self, reason: Reason) -> Prune:
        """With a further reason."""
        return replace(self, why=self.why.also(reason))


@dataclass(frozen=True)
class _Rule:
    """An image goes if, in its `group`, at least `keep` other `unit`s with a proved image are newer."""

    level: str
    keep: int
    group: Callable[[LedgerImage], Hashable]
    unit: Callable[[LedgerImage], Hashable]
    why: Callable[[LedgerImage], Reason | None]
    """None if the level doesn't apply to the image."""


def prunes(
    images: Sequence[LedgerImage],
    retention: Retention,
    today: date,
    *,
    end_of_life: Callable[[LedgerImage], date | None],
    proved: Callable[[LedgerImage], bool],
    edge_keep: int | None = None,
) -> dict[str, Prune]:
    """The images of one build that a level lets go, by OMI name; `images` come oldest first.

    Only images that are `proved` (verified, and still there) count as kept, so none that isn't ever replaces another.
    `edge_keep` is how many images of edge stay; None keeps all. If several levels match, the reason names the first of
    end-of-life, release, edge, revision.
    """
    found: dict[str, Prune] = {}
    if images:
        for rule in _rules(images[0].build, retention, today, end_of_life, edge_keep):
            for image, why in _matches(rule, images, proved):
                found.setdefault(image.name, Prune(rule.level, why))
    return found


def _matches(
    rule: _Rule, images: Sequence[LedgerImage], proved: Callable[[LedgerImage], bool]
) -> Iterator[tuple[LedgerImage, Reason]]:
    newer: dict[Hashable, set[Hashable]] = {}
    for image in reversed(images):
        units, own = newer.setdefault(rule.group(image), set()), rule.unit(image)
        if len(units) - (own in units) >= rule.keep and (why := rule.why(image)) is not None:
            yield image, why
        if proved(image):
            units.add(own)


def _rules(
    build: str,
    retention: Retention,
    today: date,
    end_of_life: Callable[[LedgerImage], date | None],
    edge_keep: int | None,
) -> Iterator[_Rule]:
    def past_support(image: LedgerImage) -> Reason | None:
        day = end_of_life(image)
        if day is None or level is None or today <= day + timedelta(days=level.grace_days):
            return None
        if level.grace_days:
            return Because.LEVEL_END_OF_LIFE_GRACE(version=image.version, day=day, days=level.grace_days)
        return Because.LEVEL_END_OF_LIFE(version=image.version, day=day)

    if (level := retention.end_of_life) and _holds(level.builds, build):
        yield _Rule("end-of-life", level.keep, lambda _: None, lambda i: i.name, past_support)
    if (of := retention.release) and _holds(of.builds, build):
        newest = _one_or_more(of.keep, Because.LEVEL_RELEASE, Because.LEVEL_RELEASES)
        yield _Rule("release", of.keep, lambda i: i.version, lambda i: i.release, lambda i: newest(of=i.version))
    if edge_keep is not None:
        why = _one_or_more(edge_keep, Because.LEVEL_EDGE, Because.LEVEL_EDGES)()
        yield _Rule(
            "edge", edge_keep, lambda i: i.version, lambda i: i.name, lambda i: why if i.version == EDGE else None
        )
    if (by := retention.revision) and _holds(by.builds, build):
        last = _one_or_more(by.keep, Because.LEVEL_REVISION, Because.LEVEL_REVISIONS)
        yield _Rule(
            "revision", by.keep, lambda i: (i.version, i.release), lambda i: i.name, lambda i: last(of=i.release)
        )


def _holds(builds: Sequence[str], build: str) -> bool:
    return not builds or build in builds


def _one_or_more(keep: int, one: Because, more: Because) -> Callable[..., Reason]:
    return one if keep == 1 else partial(more, keep=keep)
