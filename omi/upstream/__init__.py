"""Alpine's releases as upstream tells them: which branches there are, and what each arch's mirror has now."""

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
