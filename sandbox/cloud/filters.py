"""Filters: each names values (with `*` and `?` as wildcards), a resource has some."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import lru_cache
from typing import TypeVar

T = TypeVar("T")
Getter = Callable[[T], Iterable[str]]


@lru_cache(maxsize=1024)
def _pattern(text: str) -> re.Pattern[str]:
    parts = [{"*": ".*", "?": "."}.get(char, re.escape(char)) for char in text]
    return re.compile("".join(parts), re.DOTALL)


def matches(wanted: Sequence[str], have: Iterable[str]) -> bool:
    """Whether any of the values that a resource has is one of those wanted."""
    return any(_pattern(each).fullmatch(value) for value in have for each in wanted)


def select(things: Iterable[T], getters: Mapping[str, Getter[T]], wanted: Mapping[str, Sequence[str]]) -> list[T]:
    """The things that fit every wanted filter; filters are keys of `getters`."""
    return [each for each in things if all(matches(values, getters[name](each)) for name, values in wanted.items())]


def text(value: object) -> str:
    """A value as filters write it: booleans in lower case."""
    return str(value).lower() if isinstance(value, bool) else str(value)


def maybe(value: object) -> list[str]:
    """A value that may be absent, as the values of a resource."""
    return [] if value is None else [text(value)]
