"""Asks Alpine's site what is fixed in the repositories of builds that are rebuilt when fixes are out."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from omi.profile.content import install_repositories
from omi.profile.model import Target
from omi.support.errors import few
from omi.upstream.fixes import Fixes, read_fixes
from omi.upstream.http import AnswerStore, Got, get_all

LIMIT = 10.0
"""Seconds of waiting in all; the larger file of a branch has about half a MiB."""
_PLACE = re.compile(r"(v[0-9]{1,9}\.[0-9]{1,9}|edge)/[a-z]{1,32}")
"""Of a repository on a mirror, as the site names its file."""


@dataclass(frozen=True)
class Security:
    """What the site says now, or said to an earlier run."""

    fixes: Mapping[str, Fixes] = field(default_factory=dict)
    """By the repository's place, `v3.23/main`; those of which nothing is known are absent."""
    warnings: tuple[str, ...] = ()


def read_security(builds: Sequence[Target], mirror: str, site: str, cache_dir: Path, limit: float = LIMIT) -> Security:
    """The fixes of each repository of `builds` below `mirror`, as `site` lists them; raises nothing.

    What can't be had comes from the last good answer under `cache_dir`. That is safe: old data names fewer fixes.
    """
    places = {build.name: _places(build, mirror) for build in builds}
    urls = {place: f"{site.rstrip('/')}/{place}.json" for place in sorted(set().union(*places.values()))}
    got = get_all({url: partial(read_fixes, place=place) for place, url in urls.items()}, AnswerStore(cache_dir), limit)
    fixes = {place: value for place, url in urls.items() if (value := got[url].value) is not None}
    return Security(fixes, (*_warnings(got), *_unknown(places, fixes, site)))


def place_of(url: str, mirror: str) -> str | None:
    """The place of a repository below `mirror`; None for another's, whose fixes Alpine doesn't list."""
    place = url.removeprefix(f"{mirror.rstrip('/')}/").strip("/")
    return place if _PLACE.fullmatch(place) else None


def _places(build: Target, mirror: str) -> set[str]:
    return {place for url in install_repositories(build, mirror) if (place := place_of(url, mirror))}


def _warnings(got: Mapping[str, Got[Fixes]]) -> Iterator[str]:
    for url, answer in got.items():
        if answer.problem is not None and not answer.missing:
            instead = "the answer of an earlier run counts" if answer.stale else "going on without it"
            yield f"{url}: {answer.problem}; {instead}"


def _unknown(places: Mapping[str, set[str]], fixes: Mapping[str, Fixes], site: str) -> Iterator[str]:
    if names := sorted(name for name, own in places.items() if not own & fixes.keys()):
        yield f"{site}: has no security data for {few(names)}, so only the content decides"
