"""The fixes that images lack: each image's packages compared with Alpine's security data of one day."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from datetime import date
from pathlib import Path

from omi.profile.content import package_lines
from omi.profile.model import Target
from omi.publish.beside import listed_packages
from omi.publish.model import MissingFix, MissingFixes, published
from omi.state.ledger import Ledger, LedgerImage
from omi.support.dependency import read_dependency
from omi.support.places import expand
from omi.support.version import package_key
from omi.upstream.offer import Offer
from omi.upstream.security import Security, fixed_between, places_of


def missing_in(
    ledger: Ledger,
    builds: Sequence[Target],
    security: Security,
    offers: Mapping[str, Offer],
    releases_dir: str,
    today: date,
) -> Mapping[str, MissingFixes]:
    """Missing fixes by the images' resources, if the build asks for them and data and packages are known."""
    asking = {(build.profile, build.name): build for build in builds if build.asks_for_fixes and security.knows(build)}
    found = {}
    for image in ledger.images:
        build = asking.get((image.profile, image.build))
        if build is None or build.version != image.version:
            continue
        packages = _packages(image, offers.get(build.name), expand(releases_dir))
        if packages is not None:
            found[image.resource] = missing_fixes(build, packages, security, today)
    return found


def _packages(image: LedgerImage, offer: Offer | None, folder: Path) -> Iterable[tuple[str, str, str]] | None:
    """Name, version and source package of each installed package; None if they aren't known.

    The build's own list has every source package. Without it the signed index serves. A package that the index no
    longer has counts as its own source.
    """
    if listed := listed_packages(published(image.spec, image.record), folder, image.region):
        return [(each.name, each.version, each.origin or each.name) for each in listed]
    if image.record.installed is None or offer is None:
        return None
    lines = (line.partition("=") for line in image.record.installed)
    return [(name, version, offer.origin(name)) for name, _, version in lines]


def missing_fixes(
    build: Target, packages: Iterable[tuple[str, str, str]], security: Security, day: date
) -> MissingFixes:
    """Find the fixes that an image of the build lacks; its packages have a name, a version and a source package.

    If the profile names a package with a repository's tag, that repository's data counts, else the data of those
    without a tag.
    """
    places, tags = places_of(build), dict(_asked_by_tag(build))
    installed: dict[tuple[str, str, str | None], list[str]] = {}
    for name, version, origin in packages:
        installed.setdefault((origin, version, tags.get(name)), []).append(name)
    found = []
    for (origin, version, tag), names in installed.items():
        known = [security.fixes.get(place, {}).get(origin, {}) for place, each in places.items() if each == tag]
        fixes = [fix for by_version in known for fix in by_version.items()]
        if (ids := fixed_between(fixes, version)) is not None:
            fixed = max((each for each, _ in fixes), key=package_key)
            of_it = tuple(sorted(names))
            found.append(MissingFix(origin=origin, packages=of_it, installed=version, fixed=fixed, ids=ids))
    found.sort(key=lambda fix: (fix.origin, fix.packages))
    return MissingFixes(day=day, count=sum(len(fix.ids) or 1 for fix in found), fixes=tuple(found))


def _asked_by_tag(build: Target) -> Iterator[tuple[str, str]]:
    for line in package_lines(build):
        with suppress(ValueError):
            asked = read_dependency(line)
            if asked.tag:
                yield asked.name, asked.tag
