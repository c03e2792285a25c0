"""Alpine's security data (secdb) as a value: in which version of a source package something was fixed.

The data isn't signed. So it decides nothing alone: a fix counts where a signed index offers it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from pydantic import BaseModel, ValidationError

from omi.support.errors import UpstreamError, first_problem
from omi.support.version import is_package_version, package_key

Fixes = Mapping[str, Mapping[str, tuple[str, ...]]]
"""Ids (CVE and others) by version, by source package."""
NEVER = "0"
"""The version under which the data lists what never affected a package."""
_LONGEST = 128
"""Characters of a name or version."""
_MOST = 5000
"""Fixes of one source package."""
_ID = re.compile(r"[A-Za-z][A-Za-z0-9]*-[A-Za-z0-9][A-Za-z0-9_-]{0,60}", re.ASCII)


class _File(BaseModel):
    distroversion: str
    reponame: str
    packages: list[Any]


def read_fixes(text: bytes, place: str) -> Fixes:
    """The fixes of a repository (`v3.23/main`); UpstreamError if this isn't its file.

    An entry that can't be read is passed over, so that it doesn't hide the others.
    """
    try:
        content = _File.model_validate_json(text)
    except ValidationError as error:
        raise UpstreamError(f"is no security data: {first_problem(error)}") from error
    if (found := f"{content.distroversion}/{content.reponame}") != place:
        raise UpstreamError(f"is not the security data of {place}, but of {found[:_LONGEST]!r}")
    sources = [source for each in content.packages if (source := _source(each)) is not None]
    if content.packages and not sources:
        raise UpstreamError("names no package that can be read")
    fixes: dict[str, dict[str, dict[str, None]]] = {}
    for name, secfixes in sources:
        for version, words in _fixes(secfixes):
            fixes.setdefault(name, {}).setdefault(version, {}).update(dict.fromkeys(words))
    for name, versions in fixes.items():
        if len(versions) + sum(map(len, versions.values())) > _MOST:
            raise UpstreamError(f"names more than {_MOST} fixes of {name!r}")
    return {name: {version: tuple(ids) for version, ids in versions.items()} for name, versions in fixes.items()}


def _source(entry: object) -> tuple[str, dict[str, object]] | None:
    """Name and fixes of an entry; None if it isn't one. Not by a model, whose errors take long if there are many."""
    package = entry.get("pkg") if isinstance(entry, dict) else None
    name, secfixes = (package.get("name"), package.get("secfixes", {})) if isinstance(package, dict) else (None, None)
    if isinstance(name, str) and len(name) <= _LONGEST and isinstance(secfixes, dict):
        return name, secfixes
    return None


def _fixes(secfixes: Mapping[str, object]) -> Iterator[tuple[str, Iterable[str]]]:
    """Version and ids; one text may hold several ids."""
    for version, texts in secfixes.items():
        if version == NEVER or len(version) > _LONGEST or not is_package_version(version):
            continue
        if texts is None or isinstance(texts, list):
            words = (word for text in texts or () if isinstance(text, str) for word in text.split())
            yield version, filter(_ID.fullmatch, words)


def fixed_between(
    fixes: Iterable[tuple[str, tuple[str, ...]]], installed: str, offered: str | None = None
) -> tuple[str, ...] | None:
    """Ids of what is fixed after the installed version and up to the one on offer, any if none is named.

    In the order of the versions; None where no fix lies there.
    """
    if not is_package_version(installed):
        return None
    least = package_key(installed)
    most = package_key(offered) if offered is not None else None
    found = [
        ids
        for version, ids in sorted(fixes, key=lambda fix: (package_key(fix[0]), fix[1]))
        if least < package_key(version) and (most is None or package_key(version) <= most)
    ]
    return tuple(dict.fromkeys(word for ids in found for word in ids)) if found else None
