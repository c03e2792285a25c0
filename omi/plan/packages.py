"""Finds an image's packages with newer versions, the fixes in these, and words for a reason."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date

from omi.profile.model import Target
from omi.state.ledger import LedgerImage
from omi.support.errors import few
from omi.support.version import EDGE, is_package_version, package_key
from omi.upstream.offer import Offer

RETRIED = 7
"""Days after which a newer version that a build couldn't install is tried again. Another package may need the old one,
but the build VM's mirror may also have lagged behind."""
_NAMED = 4
"""A reason names this many packages, or names of one source; the others are only counted."""


@dataclass(frozen=True)
class NewerPackage:
    """A package of an image, and the newer version in its repositories."""

    name: str
    installed: str
    offered: str
    fixed: tuple[str, ...] | None = None
    """The ids of the fixes in it; None if nobody asked."""

    def __str__(self) -> str:
        fixed = f" ({few(self.fixed)})" if self.fixed else ""
        return f"{self.name} {self.installed} → {self.offered}{fixed}"


@dataclass(frozen=True)
class NewerPackages:
    """The packages that make an image stale, as a reason's value. It holds them all; its words name the first."""

    packages: tuple[NewerPackage, ...]

    def __str__(self) -> str:
        """`openssl 3.5.8-r0 → 3.5.9-r0, zlib 1-r0 → 1-r1`

        Packages with the same fixes come from one source and are joined: `libcrypto3/libssl3 … (CVE-2026-1)`.
        """
        alike: dict[NewerPackage, list[str]] = {}
        for each in self.packages:
            alike.setdefault(replace(each, name="") if each.fixed else each, []).append(each.name)
        return few([str(replace(each, name=few(names, _NAMED, "/"))) for each, names in alike.items()], _NAMED)


def countable(offer: Offer | None, build: Target, release: str) -> Offer | None:
    """The offer, if an image of this release would be made from it.

    A mirror's index belongs to its newest release. So it doesn't count for an image pinned to an earlier release, or
    while the mirror's index and its list of releases name different ones.
    """
    if offer is None or build.version == EDGE or offer.release in (None, release):
        return offer
    return None


def newer_packages(image: LedgerImage, offer: Offer | None, today: date | None) -> tuple[NewerPackage, ...]:
    """The packages of an image that make it stale, by name; none if the installed or offered ones are unknown.

    Neither an older version counts, nor one that a build of the last RETRIED days tried to install and couldn't.
    Without `today`, none counts that a build ever tried.
    """
    age = None if today is None else image.age(today)
    return _newer(image, offer, {} if age is not None and age >= RETRIED else _tried_in_vain(image))


def _newer(image: LedgerImage, offer: Offer | None, tried: Mapping[str, str]) -> tuple[NewerPackage, ...]:
    if offer is None:
        return ()
    installed = _by_name(image.record.installed or ())
    offered = {name: offer.newest(name) for name in sorted(installed)}
    return tuple(
        NewerPackage(name, installed[name], version)
        for name, version in offered.items()
        if version is not None and _is_newer(version, tried.get(name, installed[name]))
    )


def stale_packages(
    image: LedgerImage, offer: Offer | None, build: Target, today: date | None
) -> tuple[NewerPackage, ...]:
    """The newer packages that make a new revision by the build's rebuild_on.

    A fix that no repository offers yet doesn't count, since a build couldn't install it.
    """
    newer = newer_packages(image, offer, today)
    if offer is None or build.rebuild_on != "security":
        return newer
    judged = (replace(each, fixed=offer.fixes(each.name, each.installed, each.offered)) for each in newer)
    return tuple(each for each in judged if each.fixed is not None)


def tried_next(before: LedgerImage, offer: Offer | None) -> tuple[str, ...]:
    """The packages that the next image should have, `name=version`: the newer ones, and those once tried in vain."""
    tried = _tried_in_vain(before)
    newer = {each.name: each.offered for each in _newer(before, offer, tried)}
    return tuple(f"{name}={version}" for name, version in sorted({**tried, **newer}.items()))


def _tried_in_vain(image: LedgerImage) -> dict[str, str]:
    installed, offered = _by_name(image.record.installed or ()), _by_name(image.spec.offered)
    return {name: each for name, each in offered.items() if name in installed and _is_newer(each, installed[name])}


def _by_name(lines: Sequence[str]) -> dict[str, str]:
    """Versions by name, from `name=version`."""
    return {name: version for name, _, version in (line.partition("=") for line in lines)}


def _is_newer(one: str, other: str) -> bool:
    return is_package_version(one) and is_package_version(other) and package_key(one) > package_key(other)
