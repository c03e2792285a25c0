"""Makes the environment of each program that is started: none gets a key that it doesn't need."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from fnmatch import fnmatchcase

SIGNING_KEY = "ALPINE_OMI_SIGNING_KEY"
"""The variable with the text of the private signing key; only this program itself reads it."""
_ANY = ("HOME", "LANG", "LANGUAGE", "LC_*", "LOGNAME", "PATH", "TMPDIR", "TZ", "USER", "XDG_*")
"""Variables that any program may have, as patterns of the shell."""


def without_keys(environ: Mapping[str, str], *more: str) -> dict[str, str]:
    """The harmless variables and those of these names: for a program that needs no key."""
    return {name: value for name, value in environ.items() if _is_one(name, (*_ANY, *more))}


def without(environ: Mapping[str, str], *patterns: str) -> dict[str, str]:
    """All variables except these and SIGNING_KEY: for a program that needs the other keys."""
    return {name: value for name, value in environ.items() if not _is_one(name, (*patterns, SIGNING_KEY))}


def _is_one(name: str, patterns: Iterable[str]) -> bool:
    return any(fnmatchcase(name, pattern) for pattern in patterns)
