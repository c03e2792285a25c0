"""Numeric order of Alpine's versions and releases and of this project's revisions; never the order of strings."""

from __future__ import annotations

import re
from datetime import date
from functools import lru_cache

from omi.errors import InputError

EDGE = "edge"
"""The rolling branch; its images have the day of their build as release, `edge-20261123`."""

ReleaseKey = tuple[int, tuple[int, ...], str, tuple[tuple[int, int], ...], str]

# Suffixes of apk version strings, those before the plain version negative (apk-package(5)).
_SUFFIXES = {"alpha": -4, "beta": -3, "pre": -2, "rc": -1, "cvs": 1, "svn": 2, "git": 3, "hg": 4, "p": 5}
_BEFORE_RELEASE = re.compile(r"_(?:alpha|beta|pre|rc)\d*")
NUMBER = r"\d{1,18}"
"""Digits that are read as a number. Python itself refuses thousands of them, by an error of its own."""
_NUMERIC = re.compile(
    rf"v?(?P<numbers>{NUMBER}(?:\.{NUMBER})*)(?P<letter>[a-z]?)(?P<suffixes>(?:_[a-z]+(?:{NUMBER})?)*)"
)
_DATED = re.compile(r"(?:edge-?)?(?P<day>\d{8})|edge")
_REVISION = re.compile(rf"r?({NUMBER})")

_UNKNOWN, _NUMBERED, _ROLLING = range(3)


@lru_cache(maxsize=4096)
def release_key(release: str) -> ReleaseKey:
    """Sort key of a release or version: 3.9 < 3.10_rc1 < 3.10 < 3.10.1 < edge < edge-20261123 < edge-20261124.

    Total over all strings: what isn't a version sorts first. Only equal strings have equal keys, though 3.23 and 3.23.0
    are neighbours.
    """
    if dated := _DATED.fullmatch(release):
        return (_ROLLING, (int(dated["day"] or 0),), "", (), release)
    if not (numbered := _NUMERIC.fullmatch(release)):
        return (_UNKNOWN, (), "", (), release)
    numbers = tuple(int(part) for part in numbered["numbers"].split("."))
    while len(numbers) > 1 and numbers[-1] == 0:
        numbers = numbers[:-1]
    return (_NUMBERED, numbers, numbered["letter"], _suffix_key(numbered["suffixes"]), release)


def _suffix_key(suffixes: str) -> tuple[tuple[int, int], ...]:
    parts = (re.fullmatch(r"([a-z]+)(\d*)", part) for part in suffixes.split("_")[1:])
    ranked = [(_SUFFIXES.get(part[1], 0), int(part[2] or 0)) for part in parts if part]
    return (*ranked, (0, 0))


def version_key(version: str) -> ReleaseKey:
    """Sort key of a version (branch), with or without its `v`: 3.9 < 3.10 < edge."""
    return release_key(version)


def revision_key(revision: str) -> int:
    """The number of a revision: r9 → 9, r10 → 10; a bare number is one too. InputError for anything else."""
    if match := _REVISION.fullmatch(revision):
        return int(match[1])
    raise InputError(f"revision {revision!r} is not a revision; allowed is r and a number, r0")


def version_of(release: str) -> str:
    """The version (branch) that a release belongs to: 3.23.6 → 3.23, edge-20261123 → edge."""
    if _DATED.fullmatch(release):
        return EDGE
    return ".".join(_BEFORE_RELEASE.sub("", release).split(".")[:2])


def is_prerelease(release: str) -> bool:
    """Whether it is a candidate and not yet a release: 3.24.0_rc1."""
    return bool(_BEFORE_RELEASE.search(release))


def edge_release(day: date) -> str:
    """The release name of an edge image that is built on this day (UTC)."""
    return f"{EDGE}-{day:%Y%m%d}"
