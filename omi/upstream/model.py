"""Upstream's branches and releases as values."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date

from omi.support.version import EDGE, release_key


@dataclass(frozen=True)
class Branch:
    """One branch of releases.json. A freshly cut one has no releases, edge never has any."""

    version: str
    """Without its `v`."""
    releases: tuple[str, ...] = ()
    """Its point releases, without candidates (3.24.0_rc1)."""
    end_of_life: date | None = None
    """The last day of support of the main repository (community's may be earlier)."""
    arches: tuple[str, ...] = ()
    deprecated_keys: Mapping[str, Mapping[str, date]] = field(default_factory=dict)
    """By arch: deprecated signing keys by file name, with the first day when they are no longer trusted."""

    @property
    def newest(self) -> str | None:
        """Its newest release by number."""
        return max(self.releases, key=release_key, default=None)


@dataclass(frozen=True)
class MirrorRelease:
    """A branch on one arch's mirror: its newest release, None if it has none yet."""

    release: str | None
    stale: bool = False
    """Whether it is from an earlier run, since the mirror gave no good answer in this one."""


@dataclass(frozen=True)
class Upstream:
    """Everything known of upstream in this run."""

    branches: tuple[Branch, ...] = ()
    mirror: Mapping[tuple[str, str], MirrorRelease] = field(default_factory=dict)
    """By version and arch; absent ones could not be read."""
    warnings: tuple[str, ...] = ()
    stale: bool = False
    """Whether the branches are from an earlier run, since the site gave no good answer in this one."""

    def branch(self, version: str) -> Branch | None:
        """The branch of a version; None if releases.json lacks it."""
        return next((branch for branch in self.branches if branch.version == version), None)

    def supported(self, today: date, arch: str) -> tuple[str, ...]:
        """Versions that have a release for the arch and are not past their end of life, oldest first; never edge."""
        versions = (
            branch.version
            for branch in self.branches
            if branch.version != EDGE
            and branch.releases
            and arch in branch.arches
            and (branch.end_of_life is None or today <= branch.end_of_life)
        )
        return tuple(sorted(versions, key=release_key))
