"""The validated layers of one profile, before they become builds."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date

from omi.profile.model import SetupFile
from omi.profile.tree import Tree
from omi.support.version import EDGE, version_key


@dataclass(frozen=True)
class VersionLayer:
    """A core version profile."""

    base: str
    """`base/1`."""
    tree: Tree
    release: str | None = None
    """The newest release, as last detected."""
    end_of_life: date | None = None
    """The last day of support, as last detected."""


@dataclass(frozen=True)
class Layers:
    """Everything builds of one profile are made of; every file behind it was read and checked."""

    profile: str
    target: Tree
    """The target profile without `builds` and `discover`."""
    builds: Mapping[str, Tree]
    """The target profile's own keys of each build, by name."""
    bases: Mapping[str, Tree]
    """By name: `base/1`."""
    branches: Mapping[str, VersionLayer]
    """By version: `3.23`."""
    archs: Mapping[str, Tree]
    setup_files: Mapping[str, SetupFile]
    """By path relative to the folder of profiles."""
    keys: Mapping[str, str]
    """PEM text by file name."""

    def discovered(self, version: str, arch: str) -> Tree:
        """The own keys of a discovered build."""
        place = self.target.place("discover")
        return Tree({"version": version, "arch": arch}, {(): place})

    def branch(self, version: str) -> VersionLayer:
        """The version's core profile; for one that has none yet, the base of the newest version but edge."""
        known = self.branches.get(version)
        if known is not None:
            return known
        newest = self.branches[max(self.branches.keys() - {EDGE}, key=version_key, default=EDGE)]
        return VersionLayer(newest.base, Tree({}, {(): newest.tree.place()}))
