"""Where each value of a merged build was written."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from omi.profile.layers import Layers, removes
from omi.profile.load import Profile
from omi.profile.model import Target, profile_keys
from omi.profile.resolve import bootstrap_services, essential_packages, repo_url
from omi.profile.tree import Tree
from omi.support.errors import ProfileError


@dataclass(frozen=True)
class MergedValue:
    """One value of a build, by key path, and the file and line that it comes from."""

    key: str
    value: str
    where: str


def origins(profile: Profile, build: Target) -> Iterator[MergedValue]:
    """Every value of a build in the order in which the keys are documented; also what a layer took away.

    `follows` is the origin of packages and services that kernel_flavor, firmware, privileges and bootstrap need.
    """
    if profile.layers is None:
        raise ProfileError(f"{profile.name}: its files weren't read, so nobody knows where its values are written")
    merged = _merged(profile.layers, build)
    for key, _, field in profile_keys():
        value = merged.values.get(key)
        if isinstance(value, dict):
            yield from _entries(merged, (key,))
        elif value is not None:
            yield _origin(merged, (key,), value)
        elif isinstance(field.default, str | int) and field.default != "":
            yield MergedValue(key, str(field.default), "default")
        if key == "packages":
            yield from (MergedValue(f"packages.{name}", "true", "follows") for name in essential_packages(build))
        if key == "services":
            for level, name in bootstrap_services(build):
                yield MergedValue(f"services.{level}.{name}", "true", "follows")


def at(profile: Profile, build: Target, *path: str) -> str:
    """`profiles/web.yaml:3: ` for the value at a key path of a build, to begin a line with; empty if no file has it."""
    if profile.layers is None:
        return ""
    merged = _merged(profile.layers, build)
    place = merged.places.get(path)
    if path[0] == "repos":  # one of another file is right for other versions: then it is the build's version to correct
        place, written = merged.place("version"), merged.entries("repos")
        found = (merged.place("repos", url) for url in written if repo_url(url, build.version) == path[1])
        place = next((each for each in found if each.file == place.file), place)
    return f"{place.file}:{place.line}: " if place else ""


def _merged(layers: Layers, build: Target) -> Tree:
    return layers.merged(layers.builds.get(build.name) or layers.discovered(build.version, build.arch))


def _entries(merged: Tree, path: tuple[str, ...]) -> Iterator[MergedValue]:
    for name, value in sorted(merged.entries(*path).items()):
        if isinstance(value, dict):
            yield from _entries(merged, (*path, name))
        else:
            yield _origin(merged, (*path, name), value)


def _origin(merged: Tree, path: tuple[str, ...], value: Any) -> MergedValue:
    place = merged.place(*path)
    text = "true" if value is True else "taken away" if removes(value) else str(value)
    return MergedValue(".".join(path), text if text.isprintable() else repr(text), f"{place.file}:{place.line}")
