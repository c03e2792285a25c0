"""The layers of one profile, and their merge.

A later layer wins, maps merge by key, and null or false removes an entry. A removed entry stays as null or false until
all layers are merged, so that a map which a middle layer removed doesn't reappear from a lower one.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from typing import Any

from omi.profile.model import SetupFile
from omi.profile.tree import Tree
from omi.support.version import EDGE, release_key


@dataclass(frozen=True)
class VersionLayer:
    """A core version profile."""

    base: str
    """`base/1`."""
    tree: Tree
    release: str | None = None
    """The last detected newest release."""
    end_of_life: date | None = None
    """The last detected last day of support."""


@dataclass(frozen=True)
class Layers:
    """Everything from which a profile's builds are made. Every file of it was read and checked."""

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
        return Tree({"version": version, "arch": arch}, {(): self.target.place("discover")})

    def branch(self, version: str) -> VersionLayer:
        """The version's core profile. A version without one gets the base of the newest version except edge."""
        if version in self.branches:
            return self.branches[version]
        newest = self.branches[max(self.branches.keys() - {EDGE}, key=release_key, default=EDGE)]
        return VersionLayer(newest.base, Tree({}, {(): newest.tree.place()}))

    def merged(self, entry: Tree) -> Tree:
        """All layers of a build with a known version and the own keys `entry`."""
        own = merge(self.target, entry).values
        branch, arch = self.branch(own["version"]), self.archs[own.get("arch") or "x86_64"]
        return merge(self.bases[branch.base], branch.tree, arch, self.target, entry)


def merge(*layers: Tree) -> Tree:
    """All layers as one, the lowest first."""
    below, *others = layers
    for above in others:
        below = Tree(_over(below.values, above.values), {**below.places, **above.places})
    return below


def _over(below: Mapping[str, Any], above: Mapping[str, Any]) -> dict[str, Any]:
    merged = dict(below)
    for key, value in above.items():
        under = merged.get(key)
        merged[key] = _over(under, value) if isinstance(under, dict) and isinstance(value, dict) else value
    return merged


def removes(value: object) -> bool:
    """Whether the value removes an entry."""
    return value is None or value is False


def kept(values: Mapping[str, Any]) -> dict[str, Any]:
    """The entries that were not removed, sorted by key. A map that becomes empty is removed, too."""
    left = {key: kept(value) if isinstance(value, dict) else value for key, value in sorted(values.items())}
    return {key: value for key, value in left.items() if not removes(value) and value != {}}
