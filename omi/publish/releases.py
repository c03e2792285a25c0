"""The releases file: images as YAML, under the keys of the tool whose job this takes over."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import yaml
from pydantic import ValidationError

from omi.publish.model import PublishedImage
from omi.support.errors import StateError, first_problem
from omi.support.safe_yaml import YamlError, read_values
from omi.support.version import EDGE, release_key, revision_key

# libyaml where PyYAML was built with it, as its wheels are: ten times as fast, and the same bytes
_DUMPER = getattr(yaml, "CSafeDumper", yaml.SafeDumper)

HEADER = "# Written by this program from the stack's state: edits are lost.\n"

_OLD_KEYS = {
    "description": "description",
    "profile": "profile",
    "profile_build": "build",
    "version": "version",
    "release": "release",
    "arch": "arch",
    "revision": "revision",
    "creation_date": "created",
    "build_time": "build_time",
    "end_of_life": "end_of_life",
    "artifacts": "ids",
    "volume_size": "size_gib",
}
"""The old tool's keys in its order, each with our field; `build_time` is `created` in seconds since 1970. Further
keys have their fields' names."""


def newest_first(images: Iterable[PublishedImage]) -> list[PublishedImage]:
    """By release, then revision, numerically (3.11.12 before 3.11.9), newest first."""
    return sorted(images, key=lambda e: (release_key(e.release), revision_key(e.revision), e.name), reverse=True)


def in_order(images: Iterable[PublishedImage]) -> list[PublishedImage]:
    """Sort as the releases file does: newest release first, in it by build, each newest first."""
    by_build = sorted(newest_first(images), key=lambda e: e.build)
    return sorted(by_build, key=lambda e: release_key(_heading(e)), reverse=True)


def _heading(image: PublishedImage) -> str:
    """The release that it is listed under: `edge` for all of edge, as the old tool's programs expect."""
    return EDGE if image.version == EDGE else image.release


def to_yaml(images: Iterable[PublishedImage]) -> str:
    """The releases file: release → build → OMI name → details; the same images give the same bytes."""
    tree: dict[str, dict[str, dict[str, Any]]] = {}
    for image in in_order(images):
        tree.setdefault(_heading(image), {}).setdefault(image.build, {})[image.name] = _details(image)
    return HEADER + yaml.dump(tree, Dumper=_DUMPER, sort_keys=False, allow_unicode=True, width=120)


def _details(image: PublishedImage) -> dict[str, Any]:
    facts = image.model_dump(mode="json", exclude={"name"}, exclude_none=True)
    facts = {key: value for key, value in facts.items() if value != {}}
    facts = {"end_of_life": "", **facts, "build_time": int(image.created.timestamp())}
    old = {key: facts.pop(field) for key, field in _OLD_KEYS.items() if field in facts}
    return {**old, **facts}


def from_yaml(text: str, where: str) -> list[PublishedImage]:
    """Read a releases file back; StateError names `where` if it isn't one."""
    try:
        tree = read_values(text) or {}
        return [
            _read(name, details)
            for builds in tree.values()
            for names in builds.values()
            for name, details in names.items()
        ]
    except (YamlError, ValidationError, AttributeError) as error:
        raise StateError(
            f"{where}: is not a releases file of this program ({_problem(error)}); "
            "correct it, or move it away and run `python -m omi publish -s STACK`"
        ) from error


def _read(name: str, details: dict[str, Any]) -> PublishedImage:
    facts = {_OLD_KEYS.get(key, key): value for key, value in details.items() if key != "build_time"}
    return PublishedImage.model_validate({**facts, "name": name})


def _problem(error: Exception) -> str:
    if isinstance(error, ValidationError):
        return first_problem(error, "an entry")
    return str(error) if isinstance(error, YamlError) else "it is release, build, name, details"
