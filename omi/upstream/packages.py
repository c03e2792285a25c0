"""Reads from the mirror which packages it offers to builds."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import MappingProxyType

from omi.profile.content import install_repositories, on_mirror, package_lines
from omi.profile.model import Target
from omi.profile.signing import trusted_keys
from omi.support.dependency import read_dependency
from omi.support.errors import UpstreamError
from omi.upstream.http import AnswerStore, Got, get_all
from omi.upstream.index import Index, read_index
from omi.upstream.offer import Offer
from omi.upstream.security import Fixes, place_of
from omi.upstream.signature import UntrustedError

LIMIT = 20.0
"""Seconds of waiting in all; the larger index of a branch has about 2 MiB."""
MAX_INDEX = 64 * 1024 * 1024
"""Bytes."""

_INDEX = "APKINDEX.tar.gz"


@dataclass(frozen=True)
class Offered:
    """The offers by the present indexes, and warnings about those that could not be read."""

    offers: Mapping[str, Offer] = field(default_factory=dict)
    """By build, without those whose indexes couldn't be read."""
    warnings: tuple[str, ...] = ()
    unreached: Mapping[str, str] = field(default_factory=dict)
    """By URL: why an index couldn't be read."""
    untrusted: Mapping[str, str] = field(default_factory=dict)
    """By build: the error for an index that none of its keys signed."""
    absent: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    """By build: a line about each of its repositories that doesn't exist, by its URL in the build."""


def read_offered(
    builds: Sequence[Target],
    mirror: str,
    trusted: Sequence[str],
    cache_dir: Path,
    limit: float = LIMIT,
    fixes: Mapping[str, Fixes] = MappingProxyType({}),
) -> Offered:
    """Read the offers of each build's repositories from the indexes at `mirror`, and add the `fixes` to them.

    All indexes are read at once, with validators from earlier runs. If one can't be read, its builds have no offer,
    with a warning if packages decide about them. An earlier answer wouldn't do: another machine may have seen a later
    one. If an index isn't signed by a key of the build's profile or one of `trusted` (vm.trusted_keys), its builds are
    in `untrusted` instead. If the server doesn't have it, they are in `absent`.
    """
    urls = {build.name: _index_urls(build, mirror) for build in builds}
    store = AnswerStore(cache_dir)
    got = get_all(dict.fromkeys(set().union(*urls.values()), bytes), store, limit, MAX_INDEX)
    indexes, offers, untrusted, absent = _Indexes(got, store), {}, {}, {}
    unread: dict[str, list[str]] = {}
    """By index: the builds that it decides about."""
    warnings = []
    for build in builds:
        deciding = build.rebuild_on != "content"
        keys = {**build.keys, **trusted_keys(trusted, build.keys)}
        try:
            read = {url: indexes.read(url, build.arch, keys) for url in urls[build.name]}
            found = [
                (tag, replace(index, fixes=fixes.get(_place(url, mirror), {})))
                for url, tag in urls[build.name].items()
                if (index := read[url]) is not None
            ]
            if len(found) == len(read):
                offers[build.name] = Offer(found, tuple(map(read_dependency, package_lines(build))))
        except UntrustedError as error:
            untrusted[build.name] = str(error)
            continue
        except ValueError as error:
            warnings += [f"{build.name}: {_UNKNOWN}: {error}"] if deciding else []
        for url in [url for url, index in read.items() if index is None and deciding]:
            unread.setdefault(url, []).append(build.name)
        if lost := dict(_absent(build, mirror, got)):
            absent[build.name] = lost
    problems = indexes.problems
    lines = [f"{url}: {problems[url]}; {', '.join(sorted(unread[url]))}: {_UNKNOWN}" for url in sorted(unread)]
    return Offered(offers, (*lines, *warnings), problems, untrusted, absent)


_UNKNOWN = "whether newer packages are offered is not known, so only its content decides"


def _index_urls(build: Target, mirror: str) -> dict[str, str | None]:
    """The URL of each repository's index, with the repository's tag, in apk's order."""
    places = install_repositories(build, mirror)
    return {_index_url(url, build): value if isinstance(value, str) else None for url, value in places.items()}


def _index_url(repository: str, build: Target) -> str:
    return f"{repository.rstrip('/')}/{build.arch}/{_INDEX}"


def _place(index_url: str, mirror: str) -> str:
    """The place of an index's repository, by which its fixes are listed; empty if it is not the mirror's."""
    return place_of(index_url.removesuffix(f"/{_INDEX}").rpartition("/")[0], mirror) or ""


def _absent(build: Target, mirror: str, got: Mapping[str, Got[bytes]]) -> Iterator[tuple[str, str]]:
    for written in sorted(build.repos):
        url = _index_url(on_mirror(written, mirror), build)
        if url in got and got[url].missing:
            cure = "correct the build's version or repos, or set upstream.mirror"
            yield written, f"{build.name}: {url}: {got[url].problem}, so there is no such repository; {cure}"


class _Indexes:
    """The indexes that were received, each parsed once for each set of keys that may sign it.

    One that can't be read or trusted isn't stored: its validators must never stand for the right one.
    """

    def __init__(self, got: Mapping[str, Got[bytes]], store: AnswerStore) -> None:
        self.problems = {url: answer.problem for url, answer in got.items() if answer.problem is not None}
        """By URL: why an index can't be read."""
        self._got, self._store = got, store
        self._read: dict[tuple[str, frozenset[tuple[str, str]]], Index] = {}

    def read(self, url: str, arch: str, keys: Mapping[str, str]) -> Index | None:
        """Read one index; None if it can't be read. Raises UntrustedError unless one of the keys has signed it."""
        body, known = self._got[url].value, (url, frozenset(keys.items()))
        if url in self.problems or body is None:
            return None
        try:
            if known not in self._read:
                self._read[known] = read_index(body, keys, arch, url)
        except UpstreamError as error:
            self._store.drop(url)
            if isinstance(error, UntrustedError):
                raise
            self.problems[url] = str(error).removeprefix(f"{url}: ")
            return None
        return self._read[known]
