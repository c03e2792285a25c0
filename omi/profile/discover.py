"""Adds builds for the branches that upstream supports to those in the profile."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from omi.profile.load import Profile, image_names
from omi.profile.resolve import resolve
from omi.profile.schema import Discover
from omi.support.version import EDGE, release_key


def expand_discovered(profile: Profile, supported_versions: Iterable[str]) -> Profile:
    """The profile with a build for each wanted and supported branch that no named build covers.

    `supported_versions` are branches without their `v`. Edge is added only if the profile asks for it. A build is
    called `v3_24-x86_64`, `edge-x86_64`. A second call changes nothing. Raises ProfileError if a setting for all builds
    doesn't fit a branch.
    """
    if profile.discover is None or profile.layers is None:
        return profile
    builds = {build.name: build for build in profile.builds}
    covered = {image_names(build) for build in profile.builds}
    for version in _wanted(profile.discover, supported_versions):
        for arch in profile.discover.arch:
            name = f"{version if version == EDGE else 'v' + version.replace('.', '_')}-{arch}"
            build = resolve(profile.layers, name, profile.layers.discovered(version, arch), discovered=True)
            if name not in builds and image_names(build) not in covered:
                builds[name] = build
    return replace(profile, builds=tuple(builds[name] for name in sorted(builds)))


def _wanted(discover: Discover, supported: Iterable[str]) -> list[str]:
    versions = set(supported) - {EDGE}
    if discover.versions != "supported":
        versions &= set(discover.versions)
    return sorted(versions, key=release_key) + ([EDGE] if discover.edge is not None else [])
