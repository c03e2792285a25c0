"""Reads Alpine's releases: releases.json of the site, latest-releases.yaml of each branch and arch on the mirror."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Collection, Iterator, Mapping
from datetime import date
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from pydantic import BaseModel, Field, ValidationError

from omi.support.errors import UpstreamError, first_problem
from omi.support.safe_yaml import YamlError, read_texts
from omi.support.version import EDGE, is_prerelease, release_key, version_of
from omi.upstream.http import AnswerStore, Got, get_all
from omi.upstream.model import Branch, MirrorRelease, Upstream

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
    """Read upstream as it is now, for these versions and arches. It takes at most `limit` seconds and raises nothing.

    `releases` is the URL of releases.json, `mirror` that of the mirror.

    A file that can't be read comes from the last good answer under `cache_dir` or is absent, with a line in `warnings`.
    `discover` may name further versions and arches once the branches are known; they are read in the remaining time.
    Edge needs no answer of the mirror: its release is the day.
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


_LONGEST = 1024 * 1024
"""The most characters of a latest-releases.yaml; today's have about 7,000."""
_VERSION = re.compile(r"v?([0-9]{1,9}\.[0-9]{1,9}|edge)")
_RELEASE = re.compile(r"[0-9]{1,9}\.[0-9]{1,9}\.[0-9]{1,9}(_(alpha|beta|pre|rc)[0-9]{0,9})?")


class _Release(BaseModel):
    version: str


class _Key(BaseModel):
    url: str
    deprecated_since: date | None = None


class _Branch(BaseModel):
    rel_branch: str
    eol_date: date | None = None
    arches: tuple[str, ...] = ()
    releases: tuple[_Release, ...] | None = None
    keys: Any = None


class _Releases(BaseModel):
    release_branches: list[dict[str, Any]] = Field(min_length=1)


def read_releases(text: bytes) -> tuple[Branch, ...]:
    """Read the branches of releases.json; UpstreamError if it isn't such a file.

    A branch that can't be read is left out, so that one odd entry doesn't hide the others.
    """
    try:
        content = _Releases.model_validate_json(text)
    except ValidationError as error:
        raise UpstreamError(f"is not a releases.json: {first_problem(error)}") from error
    branches = tuple(branch for entry in content.release_branches if (branch := _branch(entry)) is not None)
    if not branches:
        raise UpstreamError("names no branch that can be read")
    return branches


def _branch(entry: dict[str, Any]) -> Branch | None:
    try:
        branch = _Branch.model_validate(entry)
    except ValidationError:
        return None
    if not (version := _VERSION.fullmatch(branch.rel_branch)):
        return None
    releases = (
        item.version
        for item in branch.releases or ()
        if _RELEASE.fullmatch(item.version) and not is_prerelease(item.version)
    )
    newest_first = sorted(releases, key=release_key, reverse=True)
    return Branch(version[1], tuple(newest_first), branch.eol_date, branch.arches, _deprecated_keys(branch.keys))


def _deprecated_keys(keys: object) -> dict[str, dict[str, date]]:
    """Deprecated keys by arch and file name. Unreadable ones are ignored: odd keys must not hide a branch's
    releases."""
    found: dict[str, dict[str, date]] = {}
    for arch, entries in keys.items() if isinstance(keys, dict) else ():
        for entry in entries if isinstance(entries, list) else ():
            try:
                key = _Key.model_validate(entry)
            except ValidationError:
                continue
            if key.deprecated_since is not None:
                found.setdefault(str(arch), {})[_key_name(key.url)] = key.deprecated_since
    return found


def _key_name(url: str) -> str:
    """The name of the key's file. Some addresses had a space (%20) in place of the @."""
    return unquote(urlsplit(url).path).rpartition("/")[2].replace(" ", "@")


def read_latest(text: bytes, version: str, arch: str) -> str | None:
    """Read the newest release of a branch and arch in a mirror's latest-releases.yaml; None if it lists none yet.

    UpstreamError if it isn't such a file. Entries of another branch or arch and candidates don't count.
    """
    try:
        entries = read_texts(text.decode(), _LONGEST)
    except UnicodeDecodeError as error:
        raise UpstreamError("is not UTF-8 text") from error
    except YamlError as error:
        raise UpstreamError(str(error)) from error
    if not isinstance(entries, list) or not all(isinstance(entry, dict) for entry in entries):
        raise UpstreamError("is not a list of releases")
    releases = [str(entry.get("version")) for entry in entries if entry.get("arch", arch) == arch]
    if entries and not releases:
        raise UpstreamError(f"lists nothing for {arch}")
    final = [
        release
        for release in releases
        if _RELEASE.fullmatch(release) and version_of(release) == version and not is_prerelease(release)
    ]
    return max(final, key=release_key, default=None)


def branch_folder(version: str) -> str:
    """The branch's folder on a mirror: v3.23, edge."""
    return version if version == EDGE else f"v{version}"
