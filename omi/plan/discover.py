"""The versions that a profile's `discover` covers in this run."""

from __future__ import annotations

from datetime import date, timedelta

from omi.config.settings import Retention
from omi.state.ledger import Ledger, LedgerImage
from omi.upstream.model import Upstream


def versions_to_discover(
    upstream: Upstream, ledger: Ledger, retention: Retention, today: date, profile: str, arch: str
) -> frozenset[str]:
    """The versions that upstream supports, and those in the ledger, so that an outage removes no build.

    A version leaves only when the retention's end-of-life level lets it go, by the latest end of life ever announced;
    then its builds count as removed. A new version waits until the mirror has it, so that it holds up no other build.
    """
    held = {
        image.version
        for image in ledger.images
        if image.profile == profile and image.spec.arch == arch and not _dropped(image, upstream, retention, today)
    }
    offered = {version for version in upstream.supported(today, arch) if not _lacks(upstream, version, arch)}
    return frozenset(offered | held)


def _lacks(upstream: Upstream, version: str, arch: str) -> bool:
    mirror = upstream.mirror.get((version, arch))
    return mirror is not None and not mirror.stale and mirror.release is None


def _dropped(image: LedgerImage, upstream: Upstream, retention: Retention, today: date) -> bool:
    level, branch = retention.end_of_life, upstream.branch(image.version)
    if level is None or (level.builds and image.build not in level.builds):
        return False
    said = (branch.end_of_life if branch else None, image.spec.end_of_life)
    day = max((each for each in said if each is not None), default=None)
    return day is not None and today > day + timedelta(days=level.grace_days)
