"""All packages of a build's repositories, and who offers which name."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from omi.apkindex.read import Package
from omi.apkindex.version import compare, is_version


@dataclass(frozen=True)
class Repository:
    """One index, in the order in which apk reads them; packages of a tagged one count only where the tag is asked."""

    packages: Sequence[Package]
    tag: str | None = None


class Universe:
    """Looks packages up by what they offer."""

    def __init__(self, repositories: Iterable[Repository]) -> None:
        self._offered: dict[str, list[Package]] = {}
        self._triggered: dict[str, list[Package]] = {}
        self._place: dict[Package, int] = {}
        self._tag: dict[Package, str | None] = {}
        self._usable: dict[Package, bool] = {}
        for place, repository in enumerate(repositories):
            for package in repository.packages:
                self._place[package], self._tag[package] = place, repository.tag
                for name in package.offers:
                    self._offered.setdefault(name, []).append(package)
                if package.install_if_text:
                    self._note_trigger(package)

    def _note_trigger(self, package: Package) -> None:
        if not _is_readable(package):
            return
        first = next((each.name for each in package.install_if if not each.conflict), None)
        if first is not None:
            self._triggered.setdefault(first, []).append(package)

    def offering(self, name: str) -> Iterator[Package]:
        """Those that offer the name and that apk could read."""
        return (package for package in self._offered.get(name, ()) if self._is_usable(package))

    def maybe_triggered(self, names: Iterable[str]) -> list[Package]:
        """Those whose `install_if` may hold where these names are offered."""
        return [package for name in sorted(names) for package in self._triggered.get(name, ())]

    def tag(self, package: Package) -> str | None:
        """The tag of the repository that it is from."""
        return self._tag[package]

    def best(self, packages: Iterable[Package], name: str, tag: str | None) -> Package | None:
        """The one that apk prefers for a name: of the wanted tag, then the newest, the highest priority, the first
        repository; by name where nothing else tells them apart.
        """
        best: Package | None = None
        for package in packages:
            if best is None or self._prefers(package, best, name, tag):
                best = package
        return best

    def _prefers(self, one: Package, other: Package, name: str, tag: str | None) -> bool:
        if (self._tag[one] == tag) != (self._tag[other] == tag):
            return self._tag[one] == tag
        left, right = one.offers[name], other.offers[name]
        if left is not None and right is not None and (order := compare(left, right)):
            return order > 0
        if one.name == other.name and (order := compare(one.version, other.version)):
            return order > 0
        if one.priority != other.priority:
            return one.priority > other.priority
        if self._place[one] != self._place[other]:
            return self._place[one] < self._place[other]
        return (one.name, one.version) < (other.name, other.version)

    def _is_usable(self, package: Package) -> bool:
        known = self._usable.get(package)
        if known is None:
            known = self._usable[package] = _is_readable(package)
        return known


def _is_readable(package: Package) -> bool:
    try:
        _ = package.depends, package.install_if
    except ValueError:
        return False
    return all(version is None or is_version(version) for version in package.offers.values())
