"""Asks the mirror which packages it offers to builds."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import MappingProxyType

from omi.profile.content import install_repositories, package_lines
from omi.profile.model import Target
from omi.profile.signing import trusted_keys
from omi.support.dependency import read_dependency
from omi.upstream.fixes import Fixes
from omi.upstream.http import AnswerStore, Got, get_all
from omi.upstream.index import Index, read_index
from omi.upstream.offer import Offer
from omi.upstream.security import place_of
from omi.upstream.signature import UntrustedError

LIMIT = 20.0
"""Seconds of waiting in all; the larger index of a branch has about 2 MiB."""
MAX_INDEX = 64 * 1024 * 1024
"""Bytes."""

_INDEX = "APKINDEX.tar.gz"
_Keys = Mapping[str, str]
_Indexes = dict[tuple[str, frozenset[tuple[str, str]]], Index]
"""By URL and the keys that it was verified with."""


@dataclass(frozen=True)
class Offered:
    """The offers by the indexes of now, and warnings about those that could not be had."""

    offers: Mapping[str, Offer] = field(default_factory=dict)
    """By build, but for those whose indexes couldn't be had."""
    warnings: tuple[str, ...] = ()
    unreached: Mapping[str, str] = field(default_factory=dict)
    """Why, of each index that couldn't be had, by URL."""


def read_offered(
    builds: Sequence[Target],
    mirror: str,
    trusted: Sequence[str],
    cache_dir: Path,
    limit: float = LIMIT,
    fixes: Mapping[str, Fixes] = MappingProxyType({}),
) -> Offered:
    """Read the offers of each build's repositories from the indexes at `mirror`, and put the `fixes` into them.

    All indexes are asked for at once, with validators from earlier runs. One that can't be had leaves its builds out,
    with a warning where its packages decide: an earlier answer would not do, since another machine may have seen a
    later one. Raises UntrustedError (an UpstreamError) for one that isn't signed by a key of the build's profile or of
    those `trusted`, by file or folder (vm.trusted_keys).
    """
    keys = {build.name: {**build.keys, **trusted_keys(trusted, build.keys)} for build in builds}
    urls = {build.name: _index_urls(build, mirror) for build in builds}
    reading = _Reading((urls[build.name], keys[build.name]) for build in builds)
    got = get_all(reading.readers(), AnswerStore(cache_dir), limit, MAX_INDEX)
    if reading.refused:
        raise reading.refused[min(reading.refused)]
    deciding = {build.name for build in builds if build.rebuild_on != "content"}
    offers, warnings = {}, list(_unreached({name: urls[name] for name in deciding}, got))
    for build in builds:
        if all(_is_fresh(got[url]) for url in urls[build.name]):
            indexes = [
                (tag, replace(reading.index(url, keys[build.name]), fixes=fixes.get(_place(url, mirror), {})))
                for url, tag in urls[build.name].items()
            ]
            try:
                offers[build.name] = Offer(indexes, tuple(map(read_dependency, package_lines(build))))
            except ValueError as error:
                warnings += [f"{build.name}: {_UNKNOWN}: {error}"] if build.name in deciding else []
    unreached = {url: answer.problem for url, answer in got.items() if answer.problem is not None}
    return Offered(offers, tuple(warnings), unreached)


_UNKNOWN = "whether newer packages are offered is not known, so only its content decides"


def _index_urls(build: Target, mirror: str) -> dict[str, str | None]:
    """Each repository's index with the repository's tag, in apk's order."""
    places = install_repositories(build, mirror)
    return {
        f"{url.rstrip('/')}/{build.arch}/{_INDEX}": value if isinstance(value, str) else None
        for url, value in places.items()
    }


def _place(index_url: str, mirror: str) -> str:
    """The place of an index's repository, as its fixes are listed; empty for one that is not the mirror's."""
    return place_of(index_url.removesuffix(f"/{_INDEX}").rpartition("/")[0], mirror) or ""


def _is_fresh(answer: Got[None]) -> bool:
    return answer.problem is None


def _unreached(urls: Mapping[str, Mapping[str, str | None]], got: Mapping[str, Got[None]]) -> Iterable[str]:
    for url, answer in sorted(got.items()):
        names = ", ".join(sorted(name for name, wanted in urls.items() if url in wanted))
        if names and not _is_fresh(answer):
            yield f"{url}: {answer.problem}; {names}: {_UNKNOWN}"


class _Reading:
    """Reads each index once for each set of keys that must vouch for it."""

    def __init__(self, builds: Iterable[tuple[Mapping[str, str | None], _Keys]]) -> None:
        self.refused: dict[str, UntrustedError] = {}
        self._indexes: _Indexes = {}
        self._keys: dict[str, list[_Keys]] = {}
        for urls, keys in builds:
            for url in urls:
                vouching = self._keys.setdefault(url, [])
                if keys not in vouching:
                    vouching.append(keys)

    def readers(self) -> dict[str, Callable[[bytes], None]]:
        """One reader for each index."""
        return {url: self._reader(url) for url in self._keys}

    def index(self, url: str, keys: _Keys) -> Index:
        """An index that was read."""
        return self._indexes[url, frozenset(keys.items())]

    def _reader(self, url: str) -> Callable[[bytes], None]:
        arch = url.split("/")[-2]

        def read(data: bytes) -> None:
            try:
                for keys in self._keys[url]:
                    self._indexes[url, frozenset(keys.items())] = read_index(data, keys, arch, url)
            except UntrustedError as error:
                self.refused[url] = error
                raise

        return read
