"""Reads a profile's files, checks all of them, and makes its builds."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

from omi.profile.check import check, nearest
from omi.profile.files import Files
from omi.profile.layers import Layers, VersionLayer, removes
from omi.profile.model import Target
from omi.profile.problems import Problems
from omi.profile.resolve import resolve
from omi.profile.schema import CommonKeys, Discover, TargetFile, VersionFile, VersionKeys
from omi.profile.tree import Tree, read_tree
from omi.support.errors import ProfileError
from omi.support.places import PROFILES
from omi.support.version import release_key

PROFILE_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]*")
_VERSION = re.compile(r"edge|[0-9]+\.[0-9]+")


@dataclass(frozen=True)
class Profile:
    """A target profile: its builds, and the layers for further ones of branches that upstream supports."""

    name: str
    builds: tuple[Target, ...]
    """Sorted by name."""
    discover: Discover | None = None
    layers: Layers | None = field(default=None, compare=False, repr=False)
    """The layers for further builds; None if none can be added."""


def load_profile(name: str, root: Path = PROFILES) -> Profile:
    """Load the profile `name` below `root` and check all of it.

    Raises ProfileError with all its problems: each is one line with file, line, key, value and what is allowed.
    """
    here, problems = Path.cwd(), Problems()
    if root.is_absolute() and root.is_relative_to(here):  # errors show it relative to the current folder
        root = root.relative_to(here)
    written = _read_target(name, root)
    target, values = check(written, TargetFile, problems)
    if written.values.get("builds") is None and written.values.get("discover") is None:
        cure = 'add `builds: {v3_23-x86_64: {version: "3.23"}}`, or `discover: {}` for each branch that Alpine supports'
        problems.add([written.place().error("builds", f"is missing; {cure}")])
    found: list[Target] = []
    with problems.collected():
        layers = _read_layers(name, target, Files(root, problems))
        for key, entry in layers.builds.items():
            if not _lost_version(written, target, key):
                with problems.collected():
                    found.append(resolve(layers, key, entry))
        problems.add(_doubles(found, layers))
    problems.refuse()
    return Profile(name, tuple(found), values.discover if values else None, layers)


def _lost_version(written: Tree, target: Tree, build: str) -> bool:
    """Whether a build's version or architecture was refused, so that the build can't be made."""
    return any(
        key in written.entries(*path) and key not in target.entries(*path)
        for path in ((), ("builds", build))
        for key in ("version", "arch")
    )


def profile_names(root: Path) -> list[str]:
    """The target profiles of a folder, sorted; ProfileError where there is no such folder."""
    if not root.is_dir():
        raise ProfileError(f"{root}: no such folder; run this from the project's top")
    return [file.stem for file in _files(root)]


def _files(folder: Path) -> list[Path]:
    """The profiles of a folder, sorted, without what an editor keeps beside them (`.#web.yaml`)."""
    return sorted(folder.glob("[!.]*.yaml"))


def _read_target(name: str, root: Path) -> Tree:
    known = profile_names(root)
    if not PROFILE_NAME.fullmatch(name) or name not in known:
        there = ", ".join(known) or "none"
        meant = nearest(Path(name).name.removesuffix(".yaml"), known)
        raise ProfileError(f"{root}: there is no profile {name!r}{meant}; there are: {there}")
    tree = read_tree(root / f"{name}.yaml")
    if isinstance(builds := tree.values.get("builds"), dict):  # a build that is switched off counts as absent
        left = {key: value for key, value in builds.items() if not removes(value)}
        tree = replace(tree, values={**tree.values, "builds": left})
    return tree


def _read_layers(name: str, target: Tree, files: Files) -> Layers:
    for folder, needed in (("base", "*.yaml"), ("version", "[0-9]*.yaml"), ("arch", "x86_64.yaml")):
        if not any((files.root / folder).glob(needed)):
            wanted = "at least one profile" if "*" in needed else needed
            raise ProfileError(f"{files.root / folder}: {wanted} is missing; bring it back from git")
    own = files.taken(target.without("builds", "discover"))
    inline = {key: files.taken(target.below("builds", key)) for key in sorted(target.entries("builds"))}
    bases = {f"base/{key}": tree for key, tree in _read_common("base", files).items()}
    archs = _read_common("arch", files)
    found = [_read_branch(path, bases, files) for path in _files(files.root / "version")]
    branches = dict(sorted(found, key=lambda item: release_key(item[0])))
    return Layers(name, own, inline, bases, branches, archs, files.setup, files.keys)


def _read_common(folder: str, files: Files) -> dict[str, Tree]:
    """The base or architecture files, by name."""
    paths = _files(files.root / folder)
    return {path.stem: files.taken(check(read_tree(path), CommonKeys, files.problems)[0]) for path in paths}


def _read_branch(path: Path, bases: dict[str, Tree], files: Files) -> tuple[str, VersionLayer]:
    if not _VERSION.fullmatch(path.stem):
        raise ProfileError(f"{path}: is not named after a version: 3.23.yaml, or edge.yaml")
    tree, values = check(read_tree(path), VersionFile, files.problems)
    rest = files.taken(tree.without(*VersionKeys.model_fields))
    if values is None:
        return path.stem, VersionLayer(next(iter(bases)), rest)
    base = values.base
    if base not in bases:
        known = ", ".join(bases)
        files.problems.add([tree.place("base").error("base", f"there is no {base}; there are: {known}")])
        base = next(iter(bases))
    if values.release and not values.release.startswith(path.stem + "."):
        problem = f"{values.release} is not a release of {path.stem}; write one of {path.stem}.N"
        files.problems.add([tree.place("release").error("release", problem)])
    return path.stem, VersionLayer(base, rest, values.release, values.end_of_life)


def image_names(build: Target) -> tuple[str, str | None, tuple[str, str]]:
    """A key that is equal for two builds whose OMIs would have the same names."""
    return build.version, build.release, build.name_parts("{release}")


def _doubles(builds: Iterable[Target], layers: Layers) -> Iterator[ProfileError]:
    seen: dict[object, Target] = {}
    for build in builds:
        first = seen.setdefault(image_names(build), build)
        if first is not build:
            cure = "give one of them a prefix, suffix or name_template of its own"
            problem = f"makes the same OMI names as builds.{first.name}; {cure}"
            yield layers.builds[build.name].place().error(f"builds.{build.name}", problem)
