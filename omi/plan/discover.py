"""Which versions a profile's `discover` is to cover in this run."""

from __future__ import annotations

from datetime import date, timedelta

from omi.config.settings import Retention
from omi.state.ledger import Ledger, LedgerImage
from omi.upstream.model import Upstream


def versions_to_discover(
    upstream: Upstream, ledger: Ledger, retention: Retention, today: date, profile: str, arch: str
) -> frozenset[str]:
    """The versions that upstream supports and those that the ledger holds, so that an outage takes no build away.

    A version leaves only when the retention's end-of-life level says so by the latest day that was ever said of it:
    then its builds count as removed. One that the mirror is known not to have yet waits, so that the day a branch comes
    out holds no other build up.
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
