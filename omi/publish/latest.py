"""Which image is the latest: of a version, of an arch, of a build and of all, in each Region."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import date, datetime
from typing import TypeVar

from pydantic import BaseModel, ConfigDict, Field

from omi.publish.entry import Entry
from omi.support.version import EDGE, ReleaseKey, is_prerelease, release_key, revision_key

_MAIN_ARCH = "x86_64"


class Pointer(BaseModel):
    """The latest image in one Region."""

    model_config = ConfigDict(frozen=True)

    id: str = Field(description="Id of its OMI there.")
    name: str
    build: str
    version: str
    release: str
    revision: str
    arch: str
    created: datetime = Field(description="UTC")
    end_of_life: date | None
    state: str = Field(description="current, or deprecated where no current image is left.")


class Latest(BaseModel):
    """The latest images, each by Region, since one may be made or shared later than another.

    An image gets here only after it was verified and shared, and goes when it is made private. A newer release comes
    before an older one, a branch before edge and before candidates of a release; where builds have the same release,
    the first by name stands for them.
    """

    model_config = ConfigDict(frozen=True)

    overall: dict[str, Pointer] = Field(description="By Region.")
    arch: dict[str, dict[str, Pointer]] = Field(description="By arch and Region.")
    version: dict[str, dict[str, dict[str, Pointer]]] = Field(description="By version, arch and Region.")
    build: dict[str, dict[str, Pointer]] = Field(description="By build of the profile and Region.")


def latest_of(entries: Iterable[Entry]) -> Latest:
    """The pointers of a profile's entries."""
    there = list(entries)
    by_arch = _group((entry.arch, entry) for entry in there)
    by_version = _group((entry.version, entry) for entry in there)
    by_build = _group((entry.profile_build, entry) for entry in there)
    return Latest(
        overall=_by_region(there),
        arch=_filled({arch: _by_region(group) for arch, group in by_arch.items()}),
        version=_filled(
            {
                version: _filled(
                    {arch: _by_region(of_arch) for arch, of_arch in _group((e.arch, e) for e in group).items()}
                )
                for version, group in by_version.items()
            }
        ),
        build=_filled({build: _by_region(group) for build, group in by_build.items()}),
    )


def _by_region(entries: Sequence[Entry]) -> dict[str, Pointer]:
    verified = _group((region, entry) for entry in entries for region in entry.verified)
    found = {}
    for region, group in verified.items():
        for state in ("current", "deprecated"):
            if of_state := [entry for entry in group if entry.stage_in(region) == state]:
                found[region] = _pointer(_newest(of_state), region)
                break
    return found


def _newest(entries: Sequence[Entry]) -> Entry:
    first = max(_rank(entry) for entry in entries)
    level = [entry for entry in entries if _rank(entry) == first]
    build = min(entry.profile_build for entry in level)
    of_build = [entry for entry in level if entry.profile_build == build]
    # one made elsewhere counts its revisions by itself
    return max(of_build, key=lambda e: (e.digest is not None, revision_key(e.revision), e.build_time, e.name))


def _rank(entry: Entry) -> tuple[bool, ReleaseKey, bool]:
    """What is launched by someone who asks for no more than the latest."""
    settled = entry.version != EDGE and not is_prerelease(entry.release)
    return settled, release_key(entry.release), entry.arch == _MAIN_ARCH


def _pointer(entry: Entry, region: str) -> Pointer:
    return Pointer(
        id=dict(entry.artifacts)[region],
        name=entry.name,
        build=entry.profile_build,
        version=entry.version,
        release=entry.release,
        revision=entry.revision,
        arch=entry.arch,
        created=datetime.fromisoformat(entry.creation_date),
        end_of_life=date.fromisoformat(entry.end_of_life) if entry.end_of_life else None,
        state=entry.stage_in(region),
    )


_V = TypeVar("_V")


def _group(pairs: Iterable[tuple[str, Entry]]) -> dict[str, list[Entry]]:
    groups: dict[str, list[Entry]] = {}
    for key, entry in pairs:
        groups.setdefault(key, []).append(entry)
    return dict(sorted(groups.items()))


def _filled(groups: dict[str, dict[str, _V]]) -> dict[str, dict[str, _V]]:
    """Those that have any: an image that wasn't verified is behind no pointer."""
    return {key: group for key, group in groups.items() if group}
