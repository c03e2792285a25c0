"""Finds the file and line of each value of a merged build."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from omi.profile.layers import Layers, removes
from omi.profile.load import Profile
from omi.profile.model import Target, profile_keys
from omi.profile.resolve import bootstrap_services, essential_packages, repo_url
from omi.profile.tree import Tree
from omi.support.errors import ProfileError

Origin = tuple[str, str, str]
"""A value's key path, its file and line, and the value as text."""


def origins(profile: Profile, build: Target) -> Iterator[Origin]:
    """Every value of a build, in the documented order of the keys, with those that a layer removed.

    `follows` is the origin of packages and services that kernel_flavor, firmware, privileges and bootstrap need.
    """
    if profile.layers is None:
        raise ProfileError(f"{profile.name}: its files weren't read, so nobody knows where its values are written")
    merged = _merged(profile.layers, build)
    for key, _, field in profile_keys():
        value = merged.values.get(key)
        if value is not None:
            yield from _written(merged, (key,), value)
        elif isinstance(field.default, str | int) and field.default != "":
            yield key, "default", str(field.default)
        if key == "packages":
            yield from ((f"packages.{name}", "follows", "true") for name in essential_packages(build))
        if key == "services":
            yield from ((f"services.{level}.{name}", "follows", "true") for level, name in bootstrap_services(build))


def at(profile: Profile, build: Target, *path: str) -> str:
    """The beginning of a line about the value at a key path, `profiles/web.yaml:3: `; empty if no file has it."""
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


def _written(merged: Tree, path: tuple[str, ...], value: Any) -> Iterator[Origin]:
    if isinstance(value, dict):
        for name, each in sorted(value.items()):
            yield from _written(merged, (*path, name), each)
        return
    place = merged.place(*path)
    text = "true" if value is True else "taken away" if removes(value) else str(value)
    yield ".".join(path), f"{place.file}:{place.line}", text if text.isprintable() else repr(text)
