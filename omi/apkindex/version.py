"""Package versions as apk orders them: `number{.number}{letter}{_suffix{number}}{~hash}{-rN}` (apk-package(5))."""

from __future__ import annotations

import re
from functools import lru_cache

_PRE = ("alpha", "beta", "pre", "rc")
_POST = ("cvs", "svn", "git", "hg", "p")
_SUFFIX = {name: place - len(_PRE) for place, name in enumerate(_PRE)} | {
    name: place + 1 for place, name in enumerate(_POST)
}
_DIGITS = r"\d{1,18}"  # apk reads them as 64 bits, which hold no more
_VERSION = re.compile(
    rf"(?P<first>{_DIGITS})(?P<numbers>(?:\.{_DIGITS})*)(?P<letter>[a-z]?)"
    rf"(?P<suffixes>(?:_(?:{'|'.join((*_PRE, *_POST))})(?:{_DIGITS})?)*)"
    rf"(?:~(?P<hash>[0-9a-f]+))?(?:-r(?P<revision>{_DIGITS}))?",
    re.ASCII,
)
_PART = re.compile(r"_([a-z]+)(\d*)", re.ASCII)

# What a part is; a version that has an earlier kind where another has a later one (or has ended) is the greater.
_FIRST, _NUMBER, _LETTER, _SUFFIX_NAME, _SUFFIX_NUMBER, _HASH, _REVISION, _END = range(8)
_Part = tuple[int, int, str]
"""Kind, value and text of it."""


def is_version(text: str) -> bool:
    """Whether apk takes it for a version at all."""
    return _VERSION.fullmatch(text) is not None


def compare(one: str, other: str) -> int:
    """-1, 0 or 1 as `one` is older, the same or newer; ValueError for what is no version."""
    return _compare(_parts(one), _parts(other), prefix=False)


def begins_with(version: str, prefix: str) -> int:
    """As `compare`, but 0 as well where `version` only goes on after `prefix` (apk's `~`)."""
    return _compare(_parts(version), _parts(prefix), prefix=True)


@lru_cache(maxsize=4096)
def _parts(text: str) -> tuple[_Part, ...]:
    match = _VERSION.fullmatch(text)
    if match is None:
        message = f"{text!r} is no version of a package"
        raise ValueError(message)
    parts: list[_Part] = [(_FIRST, int(match["first"]), "")]
    parts += [(_NUMBER, int(number), number) for number in match["numbers"].split(".")[1:]]
    if match["letter"]:
        parts.append((_LETTER, ord(match["letter"]), ""))
    for name, number in _PART.findall(match["suffixes"]):
        parts.append((_SUFFIX_NAME, _SUFFIX[name], ""))
        if number:
            parts.append((_SUFFIX_NUMBER, int(number), ""))
    if match["hash"]:
        parts.append((_HASH, 0, match["hash"]))
    if match["revision"]:
        parts.append((_REVISION, int(match["revision"]), ""))
    return (*parts, (_END, 0, ""))


def _compare(one: tuple[_Part, ...], other: tuple[_Part, ...], *, prefix: bool) -> int:
    for left, right in zip(one, other, strict=False):
        if left[0] != right[0]:
            return _by_kind(left, right, prefix=prefix)
        if order := _by_value(left, right):
            return order
    return 0


def _by_kind(left: _Part, right: _Part, *, prefix: bool) -> int:
    if prefix and right[0] == _END:
        return 0
    if left[0] == _SUFFIX_NAME and left[1] < 0:
        return -1
    if right[0] == _SUFFIX_NAME and right[1] < 0:
        return 1
    return -1 if left[0] > right[0] else 1


def _by_value(left: _Part, right: _Part) -> int:
    # a later number that begins with 0 is compared as text, after Gentoo's rule for fractions
    as_text = left[0] == _HASH or (left[0] == _NUMBER and (left[2][0] == "0" or right[2][0] == "0"))
    if as_text:
        return (left[2] > right[2]) - (left[2] < right[2])
    return (left[1] > right[1]) - (left[1] < right[1])
