"""Decides which release a build gets now, and until when its version is supported."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date

from omi.profile.model import Target
from omi.support.errors import UpstreamError
from omi.support.version import EDGE, edge_release, release_key
from omi.upstream.model import Upstream


@dataclass(frozen=True)
class Current:
    """The release that a build wants, with notes for a person."""

    release: str
    warning: str | None = None


def current_release(build: Target, upstream: Upstream, today: date) -> Current:
    """The build's wanted release: its pin, else the mirror's for its arch, else the last recorded one.

    The mirror decides, not releases.json, since apk installs from the mirror. If the mirror can't be asked, a release
    counts only if the mirror is known to have it, or if no other is known. Raises UpstreamError if no release is known
    at all.
    """
    if build.release is not None:
        return Current(build.release)
    if build.version == EDGE:
        return Current(edge_release(today))
    branch = upstream.branch(build.version)
    listed = branch.newest if branch is not None and build.arch in branch.arches else None
    mirror = upstream.mirror.get((build.version, build.arch))
    where = f"Alpine {build.version} for {build.arch}"
    if mirror is not None and not mirror.stale:
        return _by_mirror(build, listed, mirror.release, where)
    known = [release for release in (mirror.release if mirror else None, build.recorded_release) if release]
    if known:
        release = max(known, key=release_key)
        ahead = listed is not None and release_key(listed) > release_key(release)
        ahead_of = f"; releases.json names {listed}, which the mirror may not have yet" if ahead else ""
        return Current(release, f"{where}: the mirror can't be asked, so {release} counts as last known{ahead_of}")
    if listed is not None:
        return Current(listed, f"{where}: the mirror can't be asked, so {listed} counts as releases.json names it")
    raise UpstreamError(
        f"{build.name}: the release of {where} is not known: neither the mirror nor releases.json could be read and "
        f"none is recorded in the profile; try again later, or set `release` in the profile, {build.version}.N"
    )


def _by_mirror(build: Target, listed: str | None, release: str | None, where: str) -> Current:
    if release is None:
        if build.recorded_release is not None:
            instead = f"so {build.recorded_release} counts as recorded in the profile"
            return Current(build.recorded_release, f"{where}: the mirror has no release, {instead}")
        raise UpstreamError(
            f"{build.name}: {where} has no release on the mirror yet; "
            "take the build out of the profile until it has, or set upstream.mirror to another mirror"
        )
    if listed is None or listed == release:
        return Current(release)
    if release_key(listed) > release_key(release):
        return Current(
            release, f"{where}: releases.json names {listed}, but the mirror only has {release}, which counts"
        )
    return Current(release, f"{where}: the mirror has {release}, which releases.json does not name yet; it counts")
