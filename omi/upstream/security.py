"""Asks Alpine's site what is fixed in the repositories of builds whose profile wants to know."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from omi.profile.content import ALPINE_CDN, install_repositories
from omi.profile.model import Target
from omi.support.errors import few
from omi.upstream.fixes import Fixes, read_fixes
from omi.upstream.http import AnswerStore, get_all

LIMIT = 10.0
"""Seconds of waiting in all; the larger file of a branch has about half a MiB."""
MAX_FILE = 4 * 1024 * 1024
"""Bytes."""
_PLACE = re.compile(r"(v[0-9]{1,9}\.[0-9]{1,9}|edge)/[a-z]{1,32}")
"""The place of a repository on a mirror, as the site names its file."""


@dataclass(frozen=True)
class Security:
    """The site's answers of now, or to an earlier run."""

    fixes: Mapping[str, Fixes] = field(default_factory=dict)
    """By the repository's place, `v3.23/main`; unknown ones are absent."""
    doubtful: frozenset[str] = frozenset()
    """The places without a good answer of the site in this run."""
    warnings: tuple[str, ...] = ()

    def knows(self, build: Target) -> bool:
        """Whether the site has just said all that it has of the build's repositories, and has something."""
        places = places_of(build).keys()
        return bool(places & self.fixes.keys()) and not places & self.doubtful


def read_security(builds: Sequence[Target], site: str, cache_dir: Path, limit: float = LIMIT) -> Security:
    """Read the fixes of each of Alpine's repositories of `builds`, as `site` lists them; raises nothing.

    What can't be had comes from the last good answer under `cache_dir`. That is safe: old data names fewer fixes.
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
