"""Alpine's releases and signed package indexes, as upstream's site and the mirrors have them now."""

from omi.upstream.current import Current, current_release
from omi.upstream.fetch import fetch_upstream
from omi.upstream.model import Branch, MirrorRelease, Release, Upstream

__all__ = [
    "Branch",
    "Current",
    "MirrorRelease",
    "Release",
    "Upstream",
    "current_release",
    "fetch_upstream",
]
