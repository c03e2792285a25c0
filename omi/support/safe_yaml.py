"""Reads foreign YAML, safely and within limits. It is the only module that does.

The result is plain values (YAML 1.1's types, or text alone), whatever tags there are. Text that is too long, nested too
deeply, grows by aliases (the "billion laughs") or has a key twice is refused.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any

import yaml

LONGEST = 32 * 1024 * 1024
"""Characters. A releases file of ten thousand images has about a third of it."""
DEEPEST = 40
"""The most maps and lists within each other; a releases file has six."""
LARGEST = 4_000_000
"""The most values, keys and collections once every alias is written out."""

# libyaml where PyYAML was built with it, as its wheels are: ten times as fast, and it reads the same
_VALUES = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_TEXTS = getattr(yaml, "CBaseLoader", yaml.BaseLoader)
_SURROGATE = re.compile("[\ud800-\udfff]")


class YamlError(ValueError):
    """The text was refused; the message has reason and place in one line."""

    def __init__(self, problem: str, mark: Any = None) -> None:
        self.problem = problem
        self.line = int(mark.line) + 1 if mark else None
        super().__init__(f"{problem} (line {self.line})" if self.line else problem)


def read_values(text: str, longest: int = LONGEST) -> Any:
    """Read the value of one YAML document, with YAML 1.1's types; None for an empty one. Raises YamlError."""
    return _read(text, _VALUES, longest)


def read_texts(text: str, longest: int = LONGEST) -> Any:
    """Read the value with every scalar as text, so that 3.20 stays 3.20. Raises YamlError."""
    return _read(text, _TEXTS, longest)


def compose(text: str, longest: int = LONGEST, *, aliases: bool = True) -> yaml.Node | None:
    """Read the document's nodes, which have their line and column; None for an empty one. Raises YamlError."""
    _check(text, longest, aliases=aliases)
    try:
        node: yaml.Node | None = yaml.compose(text, Loader=_VALUES)
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise _not_yaml(error, text) from error
    return node


def _read(text: str, loader: Any, longest: int) -> Any:
    _check(text, longest)
    try:
        return yaml.load(text, Loader=loader)  # noqa: S506 - makes plain values only: see above
    # the last four are what its constructors raise for tags such as `!!int x`, a day such as 2027-02-30
    except (yaml.YAMLError, RecursionError, ValueError, TypeError, AttributeError, LookupError) as error:
        raise _not_yaml(error, text) from error


def _check(text: str, longest: int, *, aliases: bool = True) -> None:
    if len(text) > longest:
        raise YamlError(f"is longer than {longest} characters; shorten it")
    growth = _Growth(aliases)
    try:
        for event in yaml.parse(text, Loader=_VALUES):
            growth.take(event)
    except YamlError:
        raise
    except (yaml.YAMLError, ValueError) as error:
        raise _not_yaml(error, text) from error


@dataclass
class _Collection:
    """A map or list that is being read."""

    is_map: bool
    anchor: str | None
    start: int
    """The document's size before it."""
    keys: set[str] = field(default_factory=set)
    parts: int = 0


@dataclass
class _Growth:
    """Counts a document's size, event by event."""

    allows_aliases: bool
    size: int = 0
    open: list[_Collection] = field(default_factory=list)
    anchors: dict[str, int] = field(default_factory=dict)

    def take(self, event: yaml.Event) -> None:
        """Count one event; YamlError if it is one too many."""
        if isinstance(event, yaml.CollectionEndEvent):
            ended = self.open.pop()
            if ended.anchor:
                self.anchors[ended.anchor] = self.size - ended.start
        elif isinstance(event, yaml.NodeEvent):
            before = self.size
            self.size += self._alias(event) if isinstance(event, yaml.AliasEvent) else 1
            if self.size > LARGEST:
                raise YamlError(f"holds more than {LARGEST} values, aliases written out; shorten it", event.start_mark)
            if isinstance(event, yaml.ScalarEvent):
                self._scalar(event)
            if self.open:
                self.open[-1].parts += 1
            if isinstance(event, yaml.CollectionStartEvent):
                self.open.append(_Collection(isinstance(event, yaml.MappingStartEvent), event.anchor, before))
                if len(self.open) > DEEPEST:
                    raise YamlError(f"is nested more than {DEEPEST} levels deep; write it flatter", event.start_mark)

    def _alias(self, event: yaml.AliasEvent) -> int:
        """The size of the alias's value."""
        if not self.allows_aliases:
            raise YamlError("has an alias (*name), which is not understood here; write it out", event.start_mark)
        return self.anchors.get(event.anchor or "", 1)

    def _scalar(self, event: yaml.ScalarEvent) -> None:
        if not event.value.isascii() and _SURROGATE.search(event.value):
            raise YamlError("holds half a character (a lone surrogate); take it out", event.start_mark)
        if event.anchor:
            self.anchors[event.anchor] = 1
        inner = self.open[-1] if self.open else None
        if inner and inner.is_map and inner.parts % 2 == 0:
            if event.value in inner.keys:
                raise YamlError(f"names the key {event.value[:60]!r} twice; keep one", event.start_mark)
            inner.keys.add(event.value)


_CURES = {
    "found character that cannot start any token": "indent by spaces, not tabs; quote text that begins with @, % or `",
    "mapping values are not allowed in this context": 'quote text that holds ": "; indent the keys of a map alike',
    "did not find expected key": "indent the keys of a map alike; in single quotes write '' for one '",
    "did not find expected ',' or '}'": "a { before this has no }",
    "did not find expected ',' or ']'": "a [ before this has no ]",
    "found unexpected end of stream": "a text in quotes has no end",
    "but found another document": "a file holds one document; remove this --- and join the two",
    "found incompatible YAML document": "remove the line %YAML",
    "did not find expected <document start>": "remove the line that begins with %, or a --- that is lacking",
    "found unknown directive name": "remove the line that begins with %",
}
"""The corrections of usual slips, by libyaml's words."""


def _not_yaml(error: Exception, text: str) -> YamlError:
    if isinstance(error, RecursionError):
        return YamlError("is nested too deeply; write it flatter")
    if isinstance(error, yaml.MarkedYAMLError) and error.problem:
        problem, mark = " ".join(str(error.problem).split()), error.problem_mark
        if mark and problem == "did not find expected key" and (end := text[mark.index : mark.index + 1]) in ("}", "]"):
            return YamlError(f"is not YAML: a {end} too many", mark)
        return YamlError(f"is not YAML: {_CURES.get(problem, problem)}", mark)
    lines = str(error).splitlines() or [type(error).__name__]
    return YamlError(f"is not YAML: {lines[0]}")
