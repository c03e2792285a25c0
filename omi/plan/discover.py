"""The versions that a profile's `discover` covers in this run."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date, timedelta

from omi.config.settings import Retention
from omi.state.ledger import Ledger, LedgerImage
from omi.upstream.model import Upstream


def versions_to_discover(
    upstream: Upstream,
    ledger: Ledger,
    retention: Retention,
    today: date,
    profile: str,
    arch: str,
    last_day: Callable[[LedgerImage], date | None],
) -> frozenset[str]:
    """The versions that upstream supports, and those in the ledger, so that an outage removes no build.

    A version leaves only when the retention's end-of-life level lets it go, by the `last_day` of support that counts
    for each image; then its builds count as removed. A new version waits until the mirror has it, so that it holds up
    no other build.
    """
    held = {
        image.version
        for image in ledger.images
        if (image.profile, image.spec.arch) == (profile, arch)
        and not _dropped(image, last_day(image), retention, today)
    }
    offered = {version for version in upstream.supported(today, arch) if not _lacks(upstream, version, arch)}
    return frozenset(offered | held)


def _lacks(upstream: Upstream, version: str, arch: str) -> bool:
    mirror = upstream.mirror.get((version, arch))
    return mirror is not None and not mirror.stale and mirror.release is None


def _dropped(image: LedgerImage, day: date | None, retention: Retention, today: date) -> bool:
    level = retention.end_of_life
    if level is None or (level.builds and image.build not in level.builds):
        return False
    return day is not None and today > day + timedelta(days=level.grace_days)
