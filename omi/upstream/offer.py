"""The packages that a build's repositories offer, as a value."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from omi.support.dependency import Dependency
from omi.support.version import is_package_version, package_key
from omi.upstream.index import Index
from omi.upstream.security import fixed_between


@dataclass(frozen=True)
class Offer:
    """The packages of a build's repositories, within the profile's limits for each.

    A repository with a tag counts only for a package that the profile asks for by that tag, and for a package that no
    repository without a tag has.
    """

    repositories: Sequence[tuple[str | None, Index]]
    """The repositories' indexes, each with its tag."""
    asked: Sequence[Dependency] = ()
    """The profile's demands on single packages."""

    def newest(self, name: str) -> str | None:
        """The newest version of a package that may be installed; None if there is none."""
        asked = [each for each in self.asked if each.name == name]
        versions = [version for index in self._indexes(name) for version in _versions(index, name)]
        allowed = [version for version in versions if all(each.accepts(version) for each in asked)]
        return max(allowed, key=package_key, default=None)

    def fixes(self, name: str, installed: str, offered: str) -> tuple[str, ...] | None:
        """The ids of the fixes in a package from one version to another; None if there is no fix between."""
        found = [index.fixes.get(self.origin(name), {}) for index in self._indexes(name)]
        return fixed_between([fix for fixes in found for fix in fixes.items()], installed, offered)

    def origin(self, name: str) -> str:
        """The source of a package; its own name if none of the repositories has it."""
        return next((index.origins[name] for index in self._indexes(name) if name in index.origins), name)

    @property
    def release(self) -> str | None:
        """The Alpine release of these packages, by the version of alpine-base."""
        version = self.newest("alpine-base")
        return version.partition("-r")[0] if version is not None else None

    def _indexes(self, name: str) -> list[Index]:
        """The indexes that count for the package."""
        wanted: set[str | None] = {each.tag for each in self.asked if each.name == name and each.tag}
        for tags in (wanted, {None}, {tag for tag, _ in self.repositories}):
            if found := [index for tag, index in self.repositories if tag in tags and _versions(index, name)]:
                return found
        return []


def _versions(index: Index, name: str) -> list[str]:
    return [version for version in index.versions.get(name, ()) if is_package_version(version)]
