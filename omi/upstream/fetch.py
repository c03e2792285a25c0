"""Asks the site and the mirrors what there is: one request for releases.json and one per branch and arch."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Iterator, Mapping
from functools import partial
from pathlib import Path

from omi.support.version import EDGE
from omi.upstream.http import AnswerStore, Got, get_all
from omi.upstream.model import Branch, MirrorRelease, Upstream
from omi.upstream.read import branch_folder, read_latest, read_releases

LIMIT = 10.0
"""Seconds of waiting in all."""

_Value = tuple[Branch, ...] | str | None


def fetch_upstream(
    releases: str,
    mirror: str,
    wanted: Collection[tuple[str, str]],
    cache_dir: Path,
    *,
    discover: Callable[[Upstream], Collection[tuple[str, str]]] = lambda _: (),
    limit: float = LIMIT,
) -> Upstream:
    """Upstream as it is now, for these versions and arches; takes at most `limit` seconds and raises nothing.

    `releases` is the URL of releases.json, `mirror` that of the mirror.

    What can't be reached or read comes from the last good answer under `cache_dir` or is absent; `warnings` say so.
    `discover` may name further versions and arches once the branches are known; they are asked for in the time left.
    Edge needs no mirror's answer: its release is the day.
    """
    end, store = time.monotonic() + limit, AnswerStore(cache_dir)
    urls = _mirror_urls(mirror, wanted)
    site: dict[str, Callable[[bytes], _Value]] = {releases: read_releases}
    got = get_all(site | _readers(urls), store, limit)
    known = _upstream(releases, urls, got)
    if further := _mirror_urls(mirror, set(discover(known)) - set(urls)):
        got |= get_all(_readers(further), store, max(0.0, end - time.monotonic()))
        known = _upstream(releases, urls | further, got)
    return known


def _mirror_urls(mirror: str, wanted: Collection[tuple[str, str]]) -> dict[tuple[str, str], str]:
    return {
        (version, arch): f"{mirror.rstrip('/')}/{branch_folder(version)}/releases/{arch}/latest-releases.yaml"
        for version, arch in sorted(set(wanted))
        if version != EDGE
    }


def _readers(urls: Mapping[tuple[str, str], str]) -> dict[str, Callable[[bytes], _Value]]:
    return {url: partial(read_latest, version=version, arch=arch) for (version, arch), url in urls.items()}


def _upstream(site_url: str, urls: Mapping[tuple[str, str], str], got: Mapping[str, Got[_Value]]) -> Upstream:
    site = got[site_url]
    branches = site.value if isinstance(site.value, tuple) else ()
    return Upstream(branches, dict(_mirror_releases(urls, got)), tuple(_warnings(site_url, urls, got)), site.stale)


def _mirror_releases(
    mirrors: Mapping[tuple[str, str], str], got: Mapping[str, Got[_Value]]
) -> Iterator[tuple[tuple[str, str], MirrorRelease]]:
    for key, url in mirrors.items():
        answer = got[url]
        if answer.missing:
            yield key, MirrorRelease(None)
        elif answer.problem is None or answer.stale:
            release = answer.value if isinstance(answer.value, str) else None
            yield key, MirrorRelease(release, stale=answer.stale)


def _warnings(site_url: str, mirrors: Mapping[tuple[str, str], str], got: Mapping[str, Got[_Value]]) -> Iterator[str]:
    if got[site_url].missing:
        yield f"{site_url}: {got[site_url].problem}; going on without it"
    for url in (site_url, *mirrors.values()):
        if warning := got[url].warning:
            yield f"{url}: {warning}"
