"""Decides when an image is rebuilt though its profile is unchanged: for newer packages, fixes, or its age."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import date, timedelta

from omi.plan.packages import NewerPackages, stale_packages
from omi.plan.reasons import Because, Reason
from omi.profile.model import Target
from omi.state.ledger import LedgerImage
from omi.upstream.offer import Offer


@dataclass(frozen=True)
class Freshness:
    """Reasons for an image's successor, and whether they count yet."""

    packages: Reason | None = None
    """Newer packages or fixes that cause it now."""
    age: Reason | None = None
    waiting: Reason | None = None
    """Newer packages or fixes that wait, since the image is too young."""

    @property
    def due(self) -> tuple[Reason, ...]:
        """The reasons that count now."""
        return tuple(reason for reason in (self.packages, self.age) if reason)

    def held_back(self, image: LedgerImage, build: Target, today: date) -> Freshness:
        """The same for an image that people may launch: newer packages wait for the build's min_interval."""
        waiting = waits(image, build, today, self.packages) if self.packages else None
        return replace(self, packages=None, waiting=waiting) if waiting else self


def freshness(
    image: LedgerImage, build: Target, offer: Offer | None, today: date, *, is_revoked: bool, may_age: bool
) -> Freshness:
    """Find the reasons for the newest image's successor."""
    # revoked content is built anew only for packages that are known to be newer, and that no build tried in vain
    packages, age = stale_packages(image, offer, build, None if is_revoked else today), image.age(today)
    newer = Because.NEWER_PACKAGES(packages=NewerPackages(packages)) if packages else None
    if offer is not None and build.rebuild_on != "content" and not is_revoked and _has_unknown_packages(image):
        newer = Because.UNKNOWN_PACKAGES()
    old = None
    if may_age and age is not None and build.max_age is not None and age > build.max_age:
        old = Because.TOO_OLD(days=age, most=build.max_age)
    return Freshness(newer, old)


def _has_unknown_packages(image: LedgerImage) -> bool:
    """Whether its installed packages are unknown, since the run that made it was killed or its state was lost.

    If its own build couldn't list them, it doesn't count: the successor's build couldn't, either.
    """
    record = image.record
    is_built = image.made_here and record.copied_from is None
    return is_built and record.installed is None and record.build_seconds is None


def waits(image: LedgerImage, build: Target, today: date, change: Reason) -> Reason | None:
    """Why an image stays in spite of a change: it is younger than the build's min_interval. None if it isn't."""
    age = image.age(today)
    if age is None or build.min_interval is None or age >= build.min_interval:
        return None
    return Because.CURRENT_WAITS(change=change, day=today + timedelta(days=build.min_interval - age))
