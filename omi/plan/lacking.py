"""Finds packages and services that a build asks for and that its repositories lack, by their indexes."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from difflib import get_close_matches
from functools import cached_property

from omi.profile.content import package_lines, repository_lines
from omi.profile.load import Profile
from omi.profile.model import Target
from omi.profile.origins import at
from omi.profile.resolve import FOLLOWS, bootstrap_services
from omi.state.ledger import LedgerImage
from omi.support.dependency import Dependency, read_dependency
from omi.support.errors import few
from omi.upstream.index import Packaged, names_in
from omi.upstream.offer import Offer

_BUSYBOX = frozenset(
    ("acpid", "crond", "dnsd", "httpd", "inetd", "klogd", "loadkmap", "ntpd", "rdate", "syslog", "udhcpd", "watchdog")
)
"""Services that busybox-openrc brings; other packages may have services of the same names."""
_OPENRC = "-openrc"
"""The end of the name of a package with services."""
_DIGITS = re.compile("[0-9]")
_NEAR = 3
"""A message lists at most this many near names."""


def was_built(build: Target, images: Sequence[LedgerImage]) -> bool:
    """Whether the stack made an image of these packages, repositories and services before, so they exist."""
    own = (image for image in images if image.made_here)
    recipes = (image.spec.recipe for image in own if (image.profile, image.build) == (build.profile, build.name))
    return any(recipe is not None and _asked(recipe.build) == _asked(build) for recipe in recipes)


def _asked(build: Target) -> tuple[object, ...]:
    return build.version, package_lines(build), repository_lines(build), build.services


class Stock:
    """All that a build's repositories have."""

    def __init__(self, build: Target, offer: Offer, profile: Profile) -> None:
        self.build = build
        self.offer = offer
        self.profile = profile

    @cached_property
    def _by_name(self) -> dict[str, list[Packaged]]:
        """The packages, by each name that they provide."""
        found: dict[str, list[Packaged]] = {}
        for _, index in self.offer.repositories:
            for package in index.packages:
                for name in (package.name, *names_in(package.provides)):
                    found.setdefault(name, []).append(package)
        return found

    def missing(self) -> Iterator[str]:
        """A line about each package that doesn't exist, or not in the wanted version or repo."""
        written = {read_dependency(key).name: key for key in self.build.packages}
        for line in package_lines(self.build):
            wanted = read_dependency(line)
            if problem := self._problem(wanted):
                follows = "" if wanted.name in written else f" (it {FOLLOWS})"
                key = written.get(wanted.name, wanted.name)
                yield f"{self._at('packages', key)}: {problem}{follows}"

    def _at(self, *path: str) -> str:
        return f"{at(self.profile, self.build, *path)}{self.build.name}: {'.'.join(path)}"

    def _problem(self, wanted: Dependency) -> str | None:
        where, repositories = f"the repositories for Alpine {self.build.version}", self.offer.repositories
        if wanted.name not in self._by_name:
            return f"there is no package {wanted.name} in {where}{self._near(wanted.name)}"
        if any(package.name != wanted.name for package in self._by_name[wanted.name]):
            return None
        tags = {tag for tag, index in repositories if wanted.name in index.versions}
        if None not in tags and tags.isdisjoint(each.tag for each in self.offer.asked):
            tag = min(filter(None, tags))
            return f"{wanted.name} is in the repo with the tag {tag} alone; ask for it by `{wanted.name}: {tag}`"
        if self.offer.newest(wanted.name) is not None:
            return None
        versions = [version for _, index in repositories for version in index.versions.get(wanted.name, ())]
        return f"{where} have {wanted.name} in version {', '.join(versions)}; ask for that, or for any"

    def _near(self, name: str) -> str:
        if commands := self._by_name.get(f"cmd:{name}"):
            return f"; the command {name} is in {few([package.name for package in commands])}"
        names = {package.name for packages in self._by_name.values() for package in packages}
        near = get_close_matches(name, names, n=_NEAR, cutoff=0.7)
        return f"; similar names: {', '.join(near)}" if near else "; take it out, or add a repo that has it"

    def unbrought(self) -> Iterator[str]:
        """A line about each service that no package of the build seems to bring, judged by names.

        An index lists no files, but `NAME-openrc` has the service NAME. Other names are unknown and pass, unless they
        are nearly a known one. A setup script may bring any service.
        """
        if self.build.setup_script is not None:
            return
        follow = {name for _, name in bootstrap_services(self.build)} | _BUSYBOX
        for level, names in self.build.services.items():
            for name in names:
                if name not in follow and (problem := self._unbrought(name)):
                    yield f"{self._at('services', level, name)}: {problem}"

    def _unbrought(self, name: str) -> str | None:
        carrier = f"{name}{_OPENRC}"
        if carrier in self._brought:
            return None
        if carrier in self._by_name:
            with_it = [each for each in names_in(self._by_name[carrier][0].install_if) if each != "openrc"]
            add = " and ".join(with_it) or carrier
            return f"no package of the build brings it; {carrier} does: add {add} to packages"
        meant = self._misspelt(name)
        return f"no package is known to bring it; did you mean {meant}?" if meant else None

    def _misspelt(self, name: str) -> str | None:
        """The service that was probably meant: one letter is missing, added or misplaced.

        None if a package of another name may bring it, as chrony brings chronyd.
        """
        bare = _DIGITS.sub("", name)
        own = (_DIGITS.sub("", each.removesuffix(_OPENRC)) for each in self._brought if each.endswith(_OPENRC))
        if any(each in bare or bare in each for each in own):
            return None
        known = {each.removesuffix(_OPENRC) for each in self._by_name if each.endswith(_OPENRC)} | _BUSYBOX
        for near in get_close_matches(name, known, n=_NEAR, cutoff=0.8):
            mine, its = Counter(name), Counter(near)
            if (mine - its).total() + (its - mine).total() <= 1:
                return near
        return None

    @cached_property
    def _brought(self) -> frozenset[str]:
        """The names of all packages that may be installed; if apk has a choice, every candidate counts."""
        taken: dict[str, Packaged] = {}
        names: set[str] = set()
        rest = [read_dependency(line).name for line in package_lines(self.build)]
        while rest:
            while rest:
                for package in self._by_name.get(rest.pop(), ()):
                    if package.name not in taken:
                        taken[package.name] = package
                        names |= {package.name, *names_in(package.provides)}
                        rest += names_in(package.depends)
            rest = [name for name, needs in self._by_themselves if name not in taken and names.issuperset(needs)]
        return frozenset(names)

    @cached_property
    def _by_themselves(self) -> list[tuple[str, list[str]]]:
        """Packages that apk installs once all of certain others are installed, with the names of those."""
        packages = (package for _, index in self.offer.repositories for package in index.packages)
        return [(package.name, names_in(package.install_if)) for package in packages if package.install_if]
