"""YAML of other hands as plain values: the one place that reads it, safely and within limits.

Nothing but values comes of it (YAML 1.1's types, or text alone), whatever tags it bears. What is too long, nested too
deeply, grows by aliases (the "billion laughs") or names a key twice is refused instead of read.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import yaml

LONGEST = 32 * 1024 * 1024
"""Characters. A releases file of ten thousand images has about a third of it."""
DEEPEST = 40
"""Maps and lists within each other; a releases file has six."""
LARGEST = 4_000_000
"""Values, keys and collections once every alias is written out."""

# libyaml where PyYAML was built with it, as its wheels are: ten times as fast, and it reads the same
_VALUES = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_TEXTS = getattr(yaml, "CBaseLoader", yaml.BaseLoader)


class YamlError(ValueError):
    """This text isn't read; the message says why and where, in one line."""


def read_values(text: str, longest: int = LONGEST) -> Any:
    """The value of one YAML document, of YAML 1.1's types; None for an empty one. Raises YamlError."""
    return _read(text, _VALUES, longest)


def read_texts(text: str, longest: int = LONGEST) -> Any:
    """The same with every scalar as the text that is written, so that 3.20 stays 3.20. Raises YamlError."""
    return _read(text, _TEXTS, longest)


def compose(text: str, longest: int = LONGEST) -> yaml.Node | None:
    """The document's nodes, which know where they are written. Raises YamlError."""
    _check(text, longest)
    try:
        node: yaml.Node | None = yaml.compose(text, Loader=yaml.SafeLoader)
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise YamlError(_reason(error)) from error
    return node


def _read(text: str, loader: Any, longest: int) -> Any:
    _check(text, longest)
    try:
        return yaml.load(text, Loader=loader)  # noqa: S506 - makes plain values only: see above
    # the last four are what its constructors raise for tags such as `!!int x`, a day such as 2027-02-30
    except (yaml.YAMLError, RecursionError, ValueError, TypeError, AttributeError, LookupError) as error:
        raise YamlError(_reason(error)) from error


def _check(text: str, longest: int) -> None:
    if len(text) > longest:
        raise YamlError(f"is longer than {longest} characters")
    growth = _Growth()
    try:
        for event in yaml.parse(text, Loader=_VALUES):
            growth.take(event)
    except YamlError:
        raise
    except (yaml.YAMLError, ValueError) as error:
        raise YamlError(_reason(error)) from error


@dataclass
class _Collection:
    """A map or list that is being read."""

    is_map: bool
    anchor: str | None
    start: int
    """How large the document was before it."""
    keys: set[str] = field(default_factory=set)
    parts: int = 0


@dataclass
class _Growth:
    """How large a document gets, event by event."""

    size: int = 0
    open: list[_Collection] = field(default_factory=list)
    anchors: dict[str, int] = field(default_factory=dict)

    def take(self, event: yaml.Event) -> None:
        """Count one event; YamlError where it is one too many."""
        if isinstance(event, yaml.ScalarEvent):
            self._scalar(event)
        elif isinstance(event, yaml.AliasEvent):
            self._part()
            self._grow(self.anchors.get(event.anchor or "", 1), event)
        elif isinstance(event, yaml.MappingStartEvent | yaml.SequenceStartEvent):
            self._part()
            self.open.append(_Collection(isinstance(event, yaml.MappingStartEvent), event.anchor, self.size))
            self._grow(1, event)
            if len(self.open) > DEEPEST:
                raise YamlError(f"is nested more than {DEEPEST} levels deep{_line(event)}")
        elif isinstance(event, yaml.CollectionEndEvent):
            ended = self.open.pop()
            if ended.anchor:
                self.anchors[ended.anchor] = self.size - ended.start

    def _scalar(self, event: yaml.ScalarEvent) -> None:
        if not event.value.isascii():
            _require_unicode(event)
        if event.anchor:
            self.anchors[event.anchor] = 1
        inner = self.open[-1] if self.open else None
        if inner and inner.is_map and inner.parts % 2 == 0:
            if event.value in inner.keys:
                raise YamlError(f"names the key {event.value[:60]!r} twice{_line(event)}; keep one")
            inner.keys.add(event.value)
        self._part()
        self._grow(1, event)

    def _part(self) -> None:
        if self.open:
            self.open[-1].parts += 1

    def _grow(self, by: int, event: yaml.Event) -> None:
        self.size += by
        if self.size > LARGEST:
            raise YamlError(f"holds more than {LARGEST} values{_line(event)}, those that aliases stand for included")


def _require_unicode(event: yaml.ScalarEvent) -> None:
    try:
        event.value.encode()
    except UnicodeEncodeError as error:
        raise YamlError(f"holds half a character (a lone surrogate){_line(event)}") from error


def _line(event: yaml.Event) -> str:
    return f" (line {event.start_mark.line + 1})" if event.start_mark else ""


def _reason(error: Exception) -> str:
    if isinstance(error, RecursionError):
        return "is nested too deeply"
    if isinstance(error, yaml.MarkedYAMLError) and error.problem:
        where = f" (line {error.problem_mark.line + 1})" if error.problem_mark else ""
        return f"is not YAML: {' '.join(str(error.problem).split())}{where}"
    lines = str(error).splitlines() or [type(error).__name__]
    return f"is not YAML: {lines[0]}"
