"""The prune levels: which images of one live build may go. What must stay whatever they say is the plan's to decide."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterator, Sequence
from dataclasses import dataclass
from datetime import date, timedelta

from omi.config.settings import Retention
from omi.state.ledger import LedgerImage
from omi.support.version import EDGE


@dataclass(frozen=True)
class Verdict:
    """Why a level lets an image go."""

    level: str
    """end-of-life, release, edge or revision."""
    reason: str


@dataclass(frozen=True)
class _Rule:
    """An image goes if, in its `group`, at least `keep` other `unit`s with a proved image are newer."""

    level: str
    keep: int
    group: Callable[[LedgerImage], Hashable]
    unit: Callable[[LedgerImage], Hashable]
    reason: Callable[[LedgerImage], str | None]
    """None where the level has nothing to say of the image."""


def verdicts(
    images: Sequence[LedgerImage],
    retention: Retention,
    today: date,
    *,
    end_of_life: Callable[[LedgerImage], date | None],
    proved: Callable[[LedgerImage], bool],
    edge_keep: int | None = None,
) -> dict[str, Verdict]:
    """The images of one build, given oldest first, that a level lets go: OMI name to verdict.

    Only images that are `proved` (verified, and still there) count as kept ones, so an image never goes for the sake of
    one that isn't. `edge_keep` is how many images of edge stay, None all. Where several levels match, the first of
    end-of-life, release, edge, revision is told.
    """
    found: dict[str, Verdict] = {}
    if images:
        for rule in _rules(images[0].build, retention, today, end_of_life, edge_keep):
            for image, reason in _matches(rule, images, proved):
                found.setdefault(image.name, Verdict(rule.level, reason))
    return found


def _matches(
    rule: _Rule, images: Sequence[LedgerImage], proved: Callable[[LedgerImage], bool]
) -> Iterator[tuple[LedgerImage, str]]:
    newer: dict[Hashable, set[Hashable]] = {}
    for image in reversed(images):
        units, own = newer.setdefault(rule.group(image), set()), rule.unit(image)
        if len(units) - (own in units) >= rule.keep and (reason := rule.reason(image)) is not None:
            yield image, reason
        if proved(image):
            units.add(own)


def _rules(
    build: str,
    retention: Retention,
    today: date,
    end_of_life: Callable[[LedgerImage], date | None],
    edge_keep: int | None,
) -> Iterator[_Rule]:
    def past_support(image: LedgerImage) -> str | None:
        day = end_of_life(image)
        if day is None or level is None or today <= day + timedelta(days=level.grace_days):
            return None
        grace = f" and the grace of {level.grace_days} days" if level.grace_days else ""
        return f"end-of-life: version {image.version} is past {day}{grace}"

    if (level := retention.end_of_life) and _holds(level.builds, build):
        yield _Rule("end-of-life", level.keep, lambda _: None, lambda i: i.name, past_support)
    if (by_release := retention.release) and _holds(by_release.builds, build):
        keep = by_release.keep
        yield _Rule(
            "release",
            keep,
            lambda i: i.version,
            lambda i: i.release,
            lambda i: f"release: {_newest(keep, 'release')} of version {i.version} {_stays(keep)}",
        )
    if edge_keep is not None:
        of_edge = f"edge: {_newest(edge_keep, 'image')} {_stays(edge_keep)}"
        yield _Rule(
            "edge",
            edge_keep,
            lambda i: i.version,
            lambda i: i.name,
            lambda i: of_edge if i.version == EDGE else None,
        )
    if (by_revision := retention.revision) and _holds(by_revision.builds, build):
        number = by_revision.keep
        yield _Rule(
            "revision",
            number,
            lambda i: (i.version, i.release),
            lambda i: i.name,
            lambda i: f"revision: {_newest(number, 'revision')} of release {i.release} {_stays(number)}",
        )


def _holds(builds: Sequence[str], build: str) -> bool:
    return not builds or build in builds


def _newest(keep: int, what: str) -> str:
    return f"the newest {what}" if keep == 1 else f"the newest {keep} {what}s"


def _stays(keep: int) -> str:
    return "is kept" if keep == 1 else "are kept"
