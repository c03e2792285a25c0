"""Reads a releases file of the tool whose job this takes over, in both of its layouts, or one of this program's own."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from omi.publish.releases import HEADER
from omi.support.errors import InputError, first_problem
from omi.support.safe_yaml import YamlError, read_texts
from omi.support.version import EDGE, edge_release

_REVISION = re.compile(r"r(\d{1,9})")


@dataclass(frozen=True)
class OldImage:
    """One image as the file has it."""

    name: str
    build: str
    release: str
    """The release; edge has the day of its build, as ours have, `edge-20210831`."""
    revision: int
    """The N of rN; of edge its place among the images of that day; 0 where the old tool took the time of the build."""
    built: int
    """Seconds since 1970."""
    arch: str
    artifacts: Mapping[str, str] = field(hash=False)
    """Region to OMI id."""


class _Leaf(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore")

    profile_build: str
    release: str
    revision: str = "r0"
    arch: str
    build_time: int = Field(ge=0, lt=2**35)
    artifacts: dict[str, str]
    boot_modes: object = None
    """A key of every entry that this program writes, and of no other."""


def read_old_releases(path: Path) -> list[OldImage]:
    """Its images, in the file's order; InputError names file and entry if it isn't such a file.

    The levels are build, release, name in files of 2019 and 2020, and release, build, name in those of 2021. Each entry
    holds build and release itself, so the two outer levels aren't read.
    """
    try:
        # strings only, so that a release 3.20 stays one
        tree = read_texts(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "not text"
        raise InputError(f"{path}: cannot be read ({reason}); give a releases YAML of the old tool") from error
    except YamlError as error:
        raise InputError(f"{path}: {error}; give a releases YAML of the old tool") from error
    return _with_days([_image(name, leaf, f"{path}: {where}") for where, name, leaf in _leaves(path, tree)])


def _with_days(images: Sequence[OldImage]) -> list[OldImage]:
    """The images, those of edge in the order of their builds; the old tool gave them no release of their own."""
    of_day: Counter[tuple[str, str]] = Counter()
    found = {}
    for image in sorted(images, key=lambda image: (image.built, image.name)):
        if image.release == EDGE:
            release = edge_release(datetime.fromtimestamp(image.built, UTC).date())
            found[image] = replace(image, release=release, revision=of_day[image.build, release])
            of_day[image.build, release] += 1
    return [found.get(image, image) for image in images]


def is_old(text: str) -> bool:
    """Whether a releases file was written by the old tool, in either layout, and not by this program."""
    if text.startswith(HEADER):
        return False
    try:
        leaves = [leaf for *_, leaf in _leaves(Path(), read_texts(text))]
        return bool(leaves) and not any("boot_modes" in _Leaf.model_validate(leaf).model_fields_set for leaf in leaves)
    except (InputError, YamlError, ValidationError):
        return False


def _leaves(path: Path, tree: object) -> Iterator[tuple[str, str, object]]:
    for first, inner in _level(path, tree, "the whole file"):
        for second, names in _level(path, inner, first):
            for name, leaf in _level(path, names, f"{first}.{second}"):
                yield f"{first}.{second}.{name}", name, leaf


def _level(path: Path, node: object, where: str) -> Iterator[tuple[str, Any]]:
    if not isinstance(node, dict):
        raise InputError(
            f"{path}: {where}: is not a map; a releases file is release, build, name or build, release, name"
        )
    yield from node.items()


def _image(name: str, leaf: object, where: str) -> OldImage:
    try:
        read = _Leaf.model_validate(leaf)
    except ValidationError as error:
        raise InputError(
            f"{where}: {first_problem(error, 'its value')}; give a releases YAML of the old tool"
        ) from error
    revision = _REVISION.fullmatch(read.revision)
    number = int(revision[1]) if revision else 0
    return OldImage(name, read.profile_build, read.release, number, read.build_time, read.arch, read.artifacts)
