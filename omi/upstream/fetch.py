"""Asks the site and the mirrors what there is: one request for releases.json and one per branch and arch."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping
from functools import partial
from pathlib import Path

from omi.settings import Upstream as UpstreamSettings
from omi.upstream.http import Got, Store, get_all
from omi.upstream.model import Branch, MirrorRelease, Upstream
from omi.upstream.read import branch_folder, read_latest, read_releases
from omi.version import EDGE

LIMIT = 10.0
"""Seconds of waiting in all."""

_Releases = tuple[tuple[Branch, ...], str | None]
_Value = _Releases | str | None


def fetch_upstream(
    settings: UpstreamSettings, wanted: Collection[tuple[str, str]], cache_dir: Path, limit: float = LIMIT
) -> Upstream:
    """Upstream as it is now, for these versions and arches; takes at most `limit` seconds and raises nothing.

    What can't be reached or read comes from the last good answer under `cache_dir` or is absent; `warnings` say so.
    Edge needs no mirror's answer: its release is the day.
    """
    mirrors = {
        (version, arch): f"{settings.mirror.rstrip('/')}/{branch_folder(version)}/releases/{arch}/latest-releases.yaml"
        for version, arch in sorted(set(wanted))
        if version != EDGE
    }
    readers: dict[str, Callable[[bytes], _Value]] = {settings.releases: read_releases}
    for (version, arch), url in mirrors.items():
        readers[url] = partial(read_latest, version=version, arch=arch)
    got = get_all(readers, Store(cache_dir), limit)
    site = got[settings.releases].value
    branches, stable = site if isinstance(site, tuple) else ((), None)
    return Upstream(branches, stable, dict(_mirror_releases(mirrors, got)), tuple(_warnings(settings, mirrors, got)))


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


def _warnings(
    settings: UpstreamSettings, mirrors: Mapping[tuple[str, str], str], got: Mapping[str, Got[_Value]]
) -> Iterator[str]:
    for url in (settings.releases, *mirrors.values()):
        answer = got[url]
        if answer.problem is None or (answer.missing and url != settings.releases):
            continue
        instead = "the answer of an earlier run counts" if answer.stale else "going on without it"
        yield f"{url}: {answer.problem}; {instead}"
