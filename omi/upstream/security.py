"""Reads Alpine's security data (secdb): the versions of source packages in which something was fixed.

The data isn't signed, so it never decides alone: a fix counts only if a signed index offers it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ValidationError

from omi.profile.content import ALPINE_CDN, install_repositories
from omi.profile.model import Target
from omi.support.errors import UpstreamError, few, first_problem
from omi.support.version import is_package_version, package_key
from omi.upstream.http import AnswerStore, get_all

Fixes = Mapping[str, Mapping[str, tuple[str, ...]]]
"""By source package and version: ids (CVE and others)."""
NEVER = "0"
"""The version under which the data lists problems that never affected a package."""
_LONGEST = 128
"""The most characters of a name or version."""
_MOST = 5000
"""The most fixes of one source package."""
_ID = re.compile(r"[A-Za-z][A-Za-z0-9]*-[A-Za-z0-9][A-Za-z0-9_-]{0,60}", re.ASCII)


class _File(BaseModel):
    distroversion: str
    reponame: str
    packages: list[Any]


def read_fixes(text: bytes, place: str) -> Fixes:
    """Read the fixes of a repository (`v3.23/main`); UpstreamError if this isn't its file.

    An entry that can't be read is ignored, so that it doesn't hide the others.
    """
    try:
        content = _File.model_validate_json(text)
    except ValidationError as error:
        raise UpstreamError(f"is not security data: {first_problem(error)}") from error
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
    """Name and fixes of an entry; None if it isn't one. No pydantic model, whose errors are slow if there are many."""
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
    """The ids of fixes after the installed version and up to the offered one; without an offered one, all later ids.

    They are in the order of the versions; None if there is no fix.
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


LIMIT = 10.0
"""Seconds of waiting in all; the larger file of a branch has about half a MiB."""
MAX_FILE = 4 * 1024 * 1024
"""Bytes."""
_PLACE = re.compile(r"(v[0-9]{1,9}\.[0-9]{1,9}|edge)/[a-z]{1,32}")
"""The place of a repository on a mirror, as the site names its file."""


@dataclass(frozen=True)
class Security:
    """The site's answers in this run, or in an earlier one."""

    fixes: Mapping[str, Fixes] = field(default_factory=dict)
    """The fixes by the repository's place, `v3.23/main`; unknown ones are absent."""
    doubtful: frozenset[str] = frozenset()
    """The places for which the site gave no good answer in this run."""
    warnings: tuple[str, ...] = ()

    def knows(self, build: Target) -> bool:
        """Whether the site answered in this run for all of the build's repositories, and has data for one."""
        places = places_of(build).keys()
        return bool(places & self.fixes.keys()) and not places & self.doubtful


def read_security(builds: Sequence[Target], site: str, cache_dir: Path, limit: float = LIMIT) -> Security:
    """Read the fixes of each of Alpine's repositories of `builds`, as `site` lists them; raises nothing.

    A file that can't be read comes from the last good answer under `cache_dir`. That is safe: old data has fewer fixes.
    """
    places = {build.name: set(places_of(build)) for build in builds}
    urls = {place: f"{site.rstrip('/')}/{place}.json" for place in sorted(set().union(*places.values()))}
    got = get_all(
        {url: partial(read_fixes, place=place) for place, url in urls.items()}, AnswerStore(cache_dir), limit, MAX_FILE
    )
    fixes = {place: value for place, url in urls.items() if (value := got[url].value) is not None}
    doubtful = {place for place, url in urls.items() if got[url].warning}
    warnings = [f"{url}: {warning}" for url, answer in got.items() if (warning := answer.warning)]
    return Security(fixes, frozenset(doubtful), (*warnings, *_unknown(places, fixes, site)))


def place_of(url: str, mirror: str) -> str | None:
    """Find the place of a repository below `mirror`; None for another's, whose fixes Alpine doesn't list."""
    place = url.removeprefix(f"{mirror.rstrip('/')}/").strip("/")
    return place if _PLACE.fullmatch(place) else None


def places_of(build: Target) -> Mapping[str, str | None]:
    """The places of the Alpine repositories that a build installs from, each with its tag."""
    return {
        place: value if isinstance(value, str) else None
        for url, value in install_repositories(build, ALPINE_CDN).items()
        if (place := place_of(url, ALPINE_CDN))
    }


def _unknown(places: Mapping[str, set[str]], fixes: Mapping[str, Fixes], site: str) -> Iterator[str]:
    if names := sorted(name for name, own in places.items() if not own & fixes.keys()):
        yield f"{site}: has no security data for {few(names)}, so which fixes there are is not known"
