"""The latest image of each version, arch and build, and of all, in each Region."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import groupby
from operator import attrgetter

from pydantic import Field

from omi.publish.model import Identified, Projection, PublishedImage
from omi.support.version import EDGE, ReleaseKey, is_prerelease, release_key, revision_key


class Pointer(Identified):
    """The latest image in one Region."""

    id: str = Field(description="Id of its OMI there.")
    state: str = Field(description="current, or deprecated where no current image is left.")


class Latest(Projection):
    """The latest images, each by Region, since one may be made or shared later than another.

    An image gets here only after it was verified and shared, and goes when it is made private. A newer release comes
    before an older one, a branch before edge and before candidates of a release; where builds have the same release,
    the first by name stands for them.
    """

    overall: dict[str, Pointer] = Field(description="By Region.")
    arch: dict[str, dict[str, Pointer]] = Field(description="By arch and Region.")
    version: dict[str, dict[str, dict[str, Pointer]]] = Field(description="By version, arch and Region.")
    build: dict[str, dict[str, Pointer]] = Field(description="By build of the profile and Region.")


def latest_of(images: Iterable[PublishedImage]) -> Latest:
    """The pointers of a profile's images; where none is verified, there is no pointer."""
    there = list(images)
    versions = {version: _by("arch", group) for version, group in _grouped("version", there)}
    version = {version: archs for version, archs in versions.items() if archs}
    return Latest(overall=_by_region(there), arch=_by("arch", there), version=version, build=_by("build", there))


def _by(field: str, images: Iterable[PublishedImage]) -> dict[str, dict[str, Pointer]]:
    return {value: regions for value, group in _grouped(field, images) if (regions := _by_region(group))}


def _grouped(field: str, images: Iterable[PublishedImage]) -> Iterator[tuple[str, list[PublishedImage]]]:
    key = attrgetter(field)
    return ((value, list(group)) for value, group in groupby(sorted(images, key=key), key))


def _by_region(images: Sequence[PublishedImage]) -> dict[str, Pointer]:
    found = {}
    for region in sorted({region for image in images for region in image.verified}):
        group = [image for image in images if region in image.verified]
        for state in ("current", "deprecated"):
            if of_state := [image for image in group if image.stage_in(region) == state]:
                newest = _newest(of_state)
                facts = {**dict(newest), "id": newest.ids[region], "state": state}
                found[region] = Pointer.model_validate(facts)
                break
    return found


def _newest(images: Sequence[PublishedImage]) -> PublishedImage:
    best = max(map(_rank, images))
    level = [image for image in images if _rank(image) == best]
    build = min(image.build for image in level)
    # one made elsewhere counts its revisions by itself
    return max(
        (image for image in level if image.build == build),
        key=lambda e: (e.digest is not None, revision_key(e.revision), e.created, e.name),
    )


def _rank(image: PublishedImage) -> tuple[bool, ReleaseKey, bool]:
    """Order images by how well they serve someone who asks for no more than the latest."""
    is_stable = image.version != EDGE and not is_prerelease(image.release)
    return is_stable, release_key(image.release), image.arch == "x86_64"
