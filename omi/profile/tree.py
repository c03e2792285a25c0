"""Reads a profile file's YAML as plain values, with the place of each.

It is stricter than YAML 1.1: a value that people easily misread (`3.20`, `no`, an empty value, a key given twice, an
alias) is refused with a hint.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from typing import Any

import yaml

from omi.support.errors import ProfileError
from omi.support.reading import require_file, why_unread
from omi.support.safe_yaml import YamlError, compose

_LONGEST = 256 * 1024
"""The most characters of one file; the longest here has about 3,000."""

Scalar = str | int | float | bool | date | None


@dataclass(frozen=True)
class Place:
    """The place of a value. `file` is the path for people, `text` a scalar as written."""

    file: str
    line: int
    text: str = ""

    def error(self, path: str, problem: str) -> ProfileError:
        """The error for the value at the key path `path`."""
        return ProfileError(f"{self.file}:{self.line}: {path}: {problem}" if path else f"{self.file}: {problem}")


@dataclass(frozen=True)
class Tree:
    """A map of plain values; `places` has one for each key path in it, and one for the whole."""

    values: Mapping[str, Any]
    places: Mapping[tuple[str, ...], Place]
    unread: Mapping[tuple[str, ...], ProfileError] = field(default_factory=dict)
    """By key path: why a key or value was refused, since YAML may mean something else than its author."""

    def entries(self, *path: str) -> Mapping[str, Any]:
        """The map at a key path; an empty one if there is none."""
        value: Any = self.values
        for key in path:
            value = value.get(key) if isinstance(value, dict) else None
        return value if isinstance(value, dict) else {}

    def place(self, *path: str) -> Place:
        """The place of the value at a key path, or of the map that would hold it."""
        return self.places.get(path) or self.place(*path[:-1])

    def without(self, *keys: str) -> Tree:
        """The tree without some keys."""
        return Tree({key: value for key, value in self.values.items() if key not in keys}, self.places)

    def below(self, *path: str) -> Tree:
        """The map at a key path as a tree of its own."""
        depth = len(path)
        places = {key[depth:]: place for key, place in self.places.items() if key[:depth] == path}
        return Tree(self.entries(*path), places)


def read_tree(path: Path) -> Tree:
    """Read the map in one YAML file; ProfileError with file and line for everything unclear in it."""
    try:
        require_file(path)
        return parse_tree(path.read_text(encoding="utf-8"), str(path))
    except OSError as error:
        raise ProfileError(f"{path}: {why_unread(path, error)}") from error
    except UnicodeDecodeError as error:
        raise ProfileError(f"{path}: is not UTF-8 text (byte {error.start}); save it as UTF-8") from error


def parse_tree(text: str, file: str) -> Tree:
    """Read the map in a YAML text; `file` is its name in errors."""
    try:
        node = compose(text, _LONGEST, aliases=False)
    except YamlError as error:
        where = f"{file}:{error.line}" if error.line else file
        raise ProfileError(f"{where}: {error.problem}") from error
    if node is None:
        return Tree({}, {(): Place(file, 1)})
    reader = _Reader(file)
    values = reader.convert(node, _line(node), ())
    if not isinstance(values, dict):
        raise ProfileError(
            f"{file}:{_line(node)}: must hold a map of keys to values, such as {{packages: {{curl: true}}}}"
        )
    return Tree(values, reader.places, reader.unread)


_TAG = "tag:yaml.org,2002:"
_TAGGED = "the tag {!r} is not understood here; write the value without it, a text in quotes"
_INT = re.compile(r"-?(0|[1-9][0-9]*)")
_DATE = re.compile(r"\d{4}-\d\d-\d\d")
_WORDS = {"true": True, "false": False, "null": None, "~": None}


def _line(node: yaml.Node) -> int:
    return int(node.start_mark.line) + 1


class _Reader:
    """Turns the nodes of one file into plain values and notes their places."""

    def __init__(self, file: str) -> None:
        self.file = file
        self.places: dict[tuple[str, ...], Place] = {}
        self.unread: dict[tuple[str, ...], ProfileError] = {}

    def convert(self, node: yaml.Node, line: int, path: tuple[str, ...]) -> Any:
        place = Place(self.file, line, node.value if isinstance(node, yaml.ScalarNode) else "")
        self.places[path] = place
        if isinstance(node, yaml.MappingNode) and node.tag == _TAG + "map":
            return dict(self._entry(key, value, path) for key, value in node.value)
        if isinstance(node, yaml.SequenceNode) and node.tag == _TAG + "seq":
            return [self.convert(each, _line(each), (*path, str(i))) for i, each in enumerate(node.value)]
        shown = ".".join(path)
        if not isinstance(node, yaml.ScalarNode):
            raise place.error(shown or "the whole file", _TAGGED.format(node.tag))
        try:
            return _scalar(node, place, shown)
        except ProfileError as error:
            self.unread[path] = error
            return None

    def _entry(self, key: yaml.Node, value: yaml.Node, path: tuple[str, ...]) -> tuple[str, Any]:
        if not isinstance(key, yaml.ScalarNode) or key.tag == _TAG + "merge":
            problem = "a key must be plain text; write it as NAME: VALUE"
            if isinstance(key, yaml.ScalarNode):
                problem = "<< merges nothing here; write out the keys that it stands for"
            raise Place(self.file, _line(key)).error(".".join(path) or "the key", problem)
        made = self.convert(value, _line(key), (*path, key.value))
        if key.tag != _TAG + "str":
            problem = f'the key {key.value} is not read as text; quote it ("{key.value}")'
            self.unread[*path, key.value] = Place(self.file, _line(key)).error(".".join(path) or "the key", problem)
        return key.value, made


def _scalar(node: yaml.ScalarNode, place: Place, path: str) -> Scalar:
    text, kind = str(node.value), node.tag.removeprefix(_TAG)
    if node.style or kind in ("str", "value", "merge"):
        return text
    try:
        match kind:
            case "null" | "bool":
                return _word(text, place, path)
            case "int":
                return int(text) if _INT.fullmatch(text) else text
            case "float":
                return float(text.lower().replace(".i", "i").replace(".n", "n"))  # .inf and .nan
            case "timestamp":
                return date.fromisoformat(text) if _DATE.fullmatch(text) else text
    except ValueError:  # such as 2027-02-30, or YAML 1.1's 190:20:30.15, which nobody means here
        return text
    raise place.error(path, _TAGGED.format(node.tag))


def _word(text: str, place: Place, path: str) -> bool | None:
    if text.lower() in _WORDS:
        return _WORDS[text.lower()]
    if not text:
        raise place.error(path, "has no value; write true to have it, null to take it away, or {} for an empty map")
    raise place.error(path, f'{text} may be read as true or false; write true or false, or quote it ("{text}")')
