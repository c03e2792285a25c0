"""A profile file's YAML as a tree in which every value knows its file and line.

Read stricter than YAML 1.1: what a person can mistake (`3.20`, `no`, an empty value, a key given twice, an alias) is
refused with a hint instead of being guessed at.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

import yaml

from omi.support.errors import ProfileError
from omi.support.safe_yaml import YamlError, compose

_LONGEST = 256 * 1024
"""Characters of one file; the longest here has about 3,000."""

Scalar = str | int | float | bool | date | None


@dataclass(frozen=True)
class Source:
    """Where a value was written; `file` is the path as it is shown to people."""

    file: str
    line: int

    def error(self, path: str, problem: str) -> ProfileError:
        """The error for the value at the key path `path`."""
        return ProfileError(f"{self.file}:{self.line}: {path}: {problem}" if path else f"{self.file}: {problem}")


@dataclass(frozen=True)
class Leaf:
    """A scalar, with its text as written."""

    value: Scalar
    text: str
    source: Source

    @property
    def removes(self) -> bool:
        """Whether it takes an entry away."""
        return self.value is None or self.value is False


@dataclass(frozen=True)
class Items:
    """A list."""

    values: tuple[Node, ...]
    source: Source


@dataclass(frozen=True)
class Table:
    """A map; `fresh` means that it starts anew: nothing of the layers below shows through."""

    entries: Mapping[str, Node]
    source: Source
    fresh: bool = False

    def get(self, *path: str) -> Node | None:
        """What is at a key path, or None."""
        node: Node | None = self
        for key in path:
            node = node.entries.get(key) if isinstance(node, Table) else None
        return node

    def without(self, *keys: str) -> Table:
        """The same without some keys."""
        return Table({key: node for key, node in self.entries.items() if key not in keys}, self.source, self.fresh)


Node = Leaf | Items | Table


def plain(node: Node) -> Any:
    """The bare values of a tree."""
    match node:
        case Leaf():
            return node.value
        case Items():
            return [plain(value) for value in node.values]
        case Table():
            return {key: plain(value) for key, value in node.entries.items()}


def leaves(node: Node) -> Iterator[Leaf]:
    """Every scalar of a tree, in the order in which they are written."""
    match node:
        case Leaf():
            yield node
        case Items():
            for value in node.values:
                yield from leaves(value)
        case Table():
            for value in node.entries.values():
                yield from leaves(value)


def read_tree(path: Path) -> Table:
    """The map in one YAML file; raises ProfileError with file and line for whatever is not clear in it."""
    try:
        return parse_tree(path.read_text(encoding="utf-8"), str(path))
    except OSError as error:
        raise ProfileError(f"{path}: cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise ProfileError(f"{path}: is not UTF-8 text (byte {error.start})") from error


def parse_tree(text: str, file: str) -> Table:
    """The map in a YAML text; `file` is what errors call it."""
    try:
        node = compose(text, _LONGEST, aliases=False)
    except YamlError as error:
        where = f"{file}:{error.line}" if error.line else file
        raise ProfileError(f"{where}: {error.problem}") from error
    if node is None:
        return Table({}, Source(file, 1))
    tree = _convert(node, file, _line(node), "")
    if not isinstance(tree, Table):
        raise ProfileError(f"{file}:{tree.source.line}: must hold a map of keys to values")
    return tree


_TAG = "tag:yaml.org,2002:"
_INT = re.compile(r"-?(0|[1-9][0-9]{0,17})")
"""What is longer stays text, since no setting is that large."""
_DATE = re.compile(r"\d{4}-\d\d-\d\d")
_WORDS = {"true": True, "false": False, "null": None, "~": None}


def _line(node: yaml.Node) -> int:
    return int(node.start_mark.line) + 1


def _convert(node: yaml.Node, file: str, line: int, path: str) -> Node:
    source = Source(file, line)
    if isinstance(node, yaml.MappingNode) and node.tag == _TAG + "map":
        return _table(node, source, path)
    if isinstance(node, yaml.SequenceNode) and node.tag == _TAG + "seq":
        return Items(tuple(_convert(value, file, _line(value), path) for value in node.value), source)
    if isinstance(node, yaml.ScalarNode):
        return Leaf(_scalar(node, source, path), node.value, source)
    raise source.error(path or "the whole file", f"the tag {node.tag!r} is not understood here")


def _table(node: yaml.MappingNode, source: Source, path: str) -> Table:
    entries: dict[str, Node] = {}
    for key_node, value_node in node.value:
        where = Source(source.file, _line(key_node))
        key = _key(key_node, where, path)
        inner = f"{path}.{key}" if path else key
        entries[key] = _convert(value_node, source.file, where.line, inner)
    return Table(entries, source)


def _key(node: yaml.Node, where: Source, path: str) -> str:
    if isinstance(node, yaml.ScalarNode) and node.tag == _TAG + "str":
        return str(node.value)
    if isinstance(node, yaml.ScalarNode) and node.tag != _TAG + "merge":
        raise where.error(path or "the key", f'the key {node.value} is not read as text; quote it ("{node.value}")')
    raise where.error(path or "the key", "a key must be plain text")


def _float(text: str) -> float | str:
    try:
        return float(text)
    except ValueError:  # YAML 1.1 also has 190:20:30.15 and .inf, which nobody means here
        return text


def _scalar(node: yaml.ScalarNode, source: Source, path: str) -> Scalar:
    text = str(node.value)
    kind = node.tag.removeprefix(_TAG)
    if node.style or kind in ("str", "value"):
        return text
    match kind:
        case "null" | "bool":
            return _word(text, source, path)
        case "int":
            return int(text) if _INT.fullmatch(text) else text
        case "float":
            return _float(text)
        case "timestamp":
            return _date(text)
        case "merge":
            raise source.error(path, "merge keys (<<) are not understood here; say it once in a lower layer")
        case _:
            raise source.error(path, f"the tag {node.tag!r} is not understood here")


def _word(text: str, source: Source, path: str) -> bool | None:
    if text.lower() in _WORDS:
        return _WORDS[text.lower()]
    if not text:
        raise source.error(path, "has no value; write null to take it away, or {} for an empty map")
    raise source.error(path, f'{text} may be read as true or false; write true or false, or quote it ("{text}")')


def _date(text: str) -> date | str:
    try:
        return date.fromisoformat(text) if _DATE.fullmatch(text) else text
    except ValueError:  # such as 2027-02-30
        return text
