"""Which of an image's packages are offered in a newer version, what that fixes, and how a reason names them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from omi.profile.model import Target
from omi.state.ledger import LedgerImage
from omi.support.errors import few
from omi.support.version import EDGE, is_package_version, package_key
from omi.upstream.offer import Offer

_NAMED = 4
"""More packages, or names of one source's, than this are counted, not named."""


@dataclass(frozen=True)
class NewerPackage:
    """One package of an image, and the newer version that its repositories offer."""

    name: str
    installed: str
    offered: str
    fixed: tuple[str, ...] | None = None
    """Ids of what that fixes; None where nobody asked."""

    def __str__(self) -> str:
        fixed = f" ({few(self.fixed)})" if self.fixed else ""
        return f"{self.name} {self.installed} → {self.offered}{fixed}"


@dataclass(frozen=True)
class NewerPackages:
    """The packages that make an image stale, as a reason's value: all of them, of which its words name the first."""

    packages: tuple[NewerPackage, ...]

    def __str__(self) -> str:
        """`openssl 3.5.8-r0 → 3.5.9-r0, zlib 1-r0 → 1-r1`

        Those in which the same is fixed are of one source and stand together: `libcrypto3/libssl3 … (CVE-2026-1)`.
        """
        alike: dict[NewerPackage, list[str]] = {}
        for each in self.packages:
            alike.setdefault(replace(each, name="") if each.fixed else each, []).append(each.name)
        return few([str(replace(each, name=few(names, _NAMED, "/"))) for each, names in alike.items()], _NAMED)


def countable(offer: Offer | None, build: Target, release: str) -> Offer | None:
    """The offer, if an image of this release would be made from it.

    A mirror's index follows the newest release, so it says nothing of an image that is pinned to an earlier one or
    that the mirror's list of releases names before or after the index does.
    """
    if offer is None or build.version == EDGE or offer.release in (None, release):
        return offer
    return None


def newer_packages(image: LedgerImage, offer: Offer | None) -> tuple[NewerPackage, ...]:
    """The packages of an image that make it stale, by name; none where what is installed or offered isn't known.

    A version that is offered again after a build that could not install it doesn't count, nor does an older one.
    """
    if offer is None:
        return ()
    installed, tried = _by_name(image.record.installed or ()), _tried_in_vain(image)
    offered = {name: offer.newest(name) for name in sorted(installed)}
    return tuple(
        NewerPackage(name, installed[name], version)
        for name, version in offered.items()
        if version is not None and _is_newer(version, tried.get(name, installed[name]))
    )


def stale_packages(image: LedgerImage, offer: Offer | None, build: Target) -> tuple[NewerPackage, ...]:
    """The newer packages that make a new revision by the build's rebuild_on.

    A fix that nobody offers yet doesn't count, whatever the security data says: a build could not bring it in.
    """
    newer = newer_packages(image, offer)
    if offer is None or build.rebuild_on != "security":
        return newer
    judged = (replace(each, fixed=offer.fixes(each.name, each.installed, each.offered)) for each in newer)
    return tuple(each for each in judged if each.fixed is not None)


def tried_next(before: LedgerImage, offer: Offer | None) -> tuple[str, ...]:
    """The packages that the next image is made for, `name=version`: the newer ones, and those once tried in vain."""
    newer = {each.name: each.offered for each in newer_packages(before, offer)}
    return tuple(f"{name}={version}" for name, version in sorted({**_tried_in_vain(before), **newer}.items()))


def _tried_in_vain(image: LedgerImage) -> dict[str, str]:
    installed, offered = _by_name(image.record.installed or ()), _by_name(image.spec.offered)
    return {name: each for name, each in offered.items() if name in installed and _is_newer(each, installed[name])}


def _by_name(lines: Sequence[str]) -> dict[str, str]:
    """Versions by name, from `name=version`."""
    return {name: version for name, _, version in (line.partition("=") for line in lines)}


def _is_newer(one: str, other: str) -> bool:
    return is_package_version(one) and is_package_version(other) and package_key(one) > package_key(other)
