"""The packages that a build's repositories offer, as a value."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from omi.support.dependency import Dependency
from omi.support.version import is_package_version, package_key
from omi.upstream.index import Index


@dataclass(frozen=True)
class Offer:
    """The packages of a build's repositories, within what its profile says of each.

    A repository with a tag counts for a package that the profile asks for by that tag, and for one that no repository
    without a tag has.
    """

    repositories: Sequence[tuple[str | None, Index]]
    """Each with its tag."""
    asked: Sequence[Dependency] = ()
    """The profile's demands on single packages."""

    def newest(self, name: str) -> str | None:
        """The newest version of a package that may be installed; None where there is none."""
        asked = [each for each in self.asked if each.name == name]
        wanted = {each.tag for each in asked if each.tag}
        versions = (
            self._versions(name, wanted)
            or self._versions(name, {None})
            or self._versions(name, {tag for tag, _ in self.repositories})
        )
        allowed = [version for version in versions if all(each.accepts(version) for each in asked)]
        return max(allowed, key=package_key, default=None)

    @property
    def release(self) -> str | None:
        """The Alpine release that it makes up, by the version of alpine-base."""
        version = self.newest("alpine-base")
        return version.partition("-r")[0] if version is not None else None

    def _versions(self, name: str, tags: Collection[str | None]) -> list[str]:
        indexes = (index for tag, index in self.repositories if tag in tags)
        return [version for index in indexes for version in index.get(name, ()) if is_package_version(version)]
