"""The order of Alpine's versions: packages, releases and branches as apk orders them, and this project's revisions.

PyPI's univers is no match for it: it refuses `1_git20260101` and `1.0~1a2b3c`, which Alpine's indexes have.
"""

from __future__ import annotations

import re
from datetime import date
from functools import lru_cache

from omi.support.errors import InputError

EDGE = "edge"
"""The rolling branch; its images have the day of their build as release, `edge-20261123`."""

_DIGITS = r"\d{1,18}"
"""A number's digits, as many as apk's 64 bits hold. Python refuses numbers of thousands of digits."""
_BEFORE, _AFTER = ("alpha", "beta", "pre", "rc"), ("cvs", "svn", "git", "hg", "p")
_SUFFIX = {name: place for place, name in enumerate((*_BEFORE, *_AFTER))}
_VERSION = re.compile(
    rf"(?P<first>{_DIGITS})(?P<numbers>(?:\.{_DIGITS})*)(?P<letter>[a-z]?)"
    rf"(?P<suffixes>(?:_(?:{'|'.join(_SUFFIX)})(?:{_DIGITS})?)*)(?:~(?P<hash>[0-9a-f]+))?(?:-r(?P<revision>{_DIGITS}))?",
    re.ASCII,
)
_SUFFIX_PART = re.compile(r"_([a-z]+)(\d*)")
_BEFORE_RELEASE = re.compile(rf"_(?:{'|'.join(_BEFORE)})\d*")
_DATED = re.compile(r"(?:edge-?)?(?P<day>\d{8})|edge")
_REVISION = re.compile(rf"r?({_DIGITS})")

# If two versions differ in the kind of a part, the later kind is the greater version: 1_rc1 < 1 < 1-r0 < 1_p1 < 1.0.
_PRE_SUFFIX, _END, _PACKAGE_REVISION, _HASH, _SUFFIX_NUMBER, _POST_SUFFIX, _LETTER, _NUMBER = range(8)

VersionKey = tuple[tuple[int, int, str], ...]
ReleaseKey = tuple[int, VersionKey, str]
_UNKNOWN, _NUMBERED, _ROLLING = range(3)


@lru_cache(maxsize=8192)
def package_key(version: str) -> VersionKey:
    """Sort key of a package's version, in apk's order; ValueError if it is not a version.

    A version is `number{.number}{letter}{_suffix{number}}{~hash}{-rN}` (apk-package(5)).
    """
    match = _VERSION.fullmatch(version)
    if match is None:
        message = f"{version!r} is not a version of a package"
        raise ValueError(message)
    parts = [(_NUMBER, int(match["first"]), "")]
    # a later number that begins with 0 is text, after Gentoo's rule for fractions
    for text in match["numbers"].split(".")[1:]:
        parts.append((_NUMBER, -1, text) if text[0] == "0" else (_NUMBER, int(text), ""))
    if match["letter"]:
        parts.append((_LETTER, 0, match["letter"]))
    for name, number in _SUFFIX_PART.findall(match["suffixes"]):
        parts.append((_PRE_SUFFIX if name in _BEFORE else _POST_SUFFIX, _SUFFIX[name], ""))
        if number:
            parts.append((_SUFFIX_NUMBER, int(number), ""))
    if match["hash"]:
        parts.append((_HASH, 0, match["hash"]))
    if match["revision"]:
        parts.append((_PACKAGE_REVISION, int(match["revision"]), ""))
    return (*parts, (_END, 0, ""))


def is_package_version(text: str) -> bool:
    """Whether apk takes it for a version at all."""
    return _VERSION.fullmatch(text) is not None


def begins_with(version: str, prefix: str) -> bool:
    """Whether a package's version is or begins with `prefix` (apk's `~`): 3.5.8-r0 begins with 3.5."""
    parts = package_key(prefix)[:-1]
    return package_key(version)[: len(parts)] == parts


@lru_cache(maxsize=4096)
def release_key(release: str) -> ReleaseKey:
    """Sort key of a release or a version, with or without its `v`.

    3.9 < 3.10_rc1 < 3.10 < 3.10.1 < edge < edge-20261123 < edge-20261124.
    It works for all strings: one that isn't a version sorts first, and only equal strings have equal keys.
    """
    if dated := _DATED.fullmatch(release):
        return (_ROLLING, ((_NUMBER, int(dated["day"] or 0), ""),), release)
    plain = release.removeprefix("v")
    return (_NUMBERED, package_key(plain), release) if is_package_version(plain) else (_UNKNOWN, (), release)


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
