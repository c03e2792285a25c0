"""Asks the mirror which packages it offers to builds."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import MappingProxyType

from omi.profile.content import install_repositories, on_mirror, package_lines
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
    untrusted: Mapping[str, str] = field(default_factory=dict)
    """By build: an index of its repositories without a signature by its keys, and the cure."""
    absent: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    """By build: a line about each of its repositories that doesn't exist, by the URL that the build has."""


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
    later one. One that isn't signed by a key of the build's profile or of those `trusted`, by file or folder
    (vm.trusted_keys), leaves the build out, too, as `untrusted`; one that the server doesn't have, as `absent`.
    """
    keys = {build.name: {**build.keys, **trusted_keys(trusted, build.keys)} for build in builds}
    urls = {build.name: _index_urls(build, mirror) for build in builds}
    reading = _Reading((urls[build.name], keys[build.name]) for build in builds)
    got = get_all(reading.readers(), AnswerStore(cache_dir), limit, MAX_INDEX)
    untrusted = {
        build.name: refusals[0]
        for build in builds
        if (refusals := [each for url in urls[build.name] if (each := reading.refusal(url, keys[build.name]))])
    }
    builds = [build for build in builds if build.name not in untrusted]
    deciding = {build.name for build in builds if build.rebuild_on != "content"}
    lacking = {
        name: [url for url in urls[name] if not reading.is_fresh(url, keys[name], got[url])] for name in deciding
    }
    offers, warnings = {}, list(_unreached(lacking, got))
    for build in builds:
        if all(reading.is_fresh(url, keys[build.name], got[url]) for url in urls[build.name]):
            indexes = [
                (tag, replace(reading.index(url, keys[build.name]), fixes=fixes.get(_place(url, mirror), {})))
                for url, tag in urls[build.name].items()
            ]
            try:
                offers[build.name] = Offer(indexes, tuple(map(read_dependency, package_lines(build))))
            except ValueError as error:
                warnings += [f"{build.name}: {_UNKNOWN}: {error}"] if build.name in deciding else []
    unreached = {url: answer.problem for url, answer in got.items() if answer.problem is not None}
    absent = {build.name: lines for build in builds if (lines := dict(_absent(build, mirror, got)))}
    return Offered(offers, tuple(warnings), unreached, untrusted, absent)


_UNKNOWN = "whether newer packages are offered is not known, so only its content decides"


def _index_urls(build: Target, mirror: str) -> dict[str, str | None]:
    """Each repository's index with the repository's tag, in apk's order."""
    places = install_repositories(build, mirror)
    return {_index_url(url, build): value if isinstance(value, str) else None for url, value in places.items()}


def _index_url(repository: str, build: Target) -> str:
    return f"{repository.rstrip('/')}/{build.arch}/{_INDEX}"


def _place(index_url: str, mirror: str) -> str:
    """The place of an index's repository, as its fixes are listed; empty for one that is not the mirror's."""
    return place_of(index_url.removesuffix(f"/{_INDEX}").rpartition("/")[0], mirror) or ""


def _absent(build: Target, mirror: str, got: Mapping[str, Got[None]]) -> Iterator[tuple[str, str]]:
    for written in sorted(build.repos):
        url = _index_url(on_mirror(written, mirror), build)
        if url in got and got[url].missing:
            cure = "correct the build's version or repos, or set upstream.mirror"
            yield written, f"{build.name}: {url}: {got[url].problem}, so there is no such repository; {cure}"


def _unreached(lacking: Mapping[str, Collection[str]], got: Mapping[str, Got[None]]) -> Iterable[str]:
    for url, answer in sorted(got.items()):
        if names := ", ".join(sorted(name for name, urls in lacking.items() if url in urls)):
            yield f"{url}: {answer.problem}; {names}: {_UNKNOWN}"


def _frozen(keys: _Keys) -> frozenset[tuple[str, str]]:
    return frozenset(keys.items())


class _Reading:
    """Reads each index once for each set of keys that must vouch for it."""

    def __init__(self, builds: Iterable[tuple[Mapping[str, str | None], _Keys]]) -> None:
        self._refused: dict[str, dict[frozenset[tuple[str, str]], UntrustedError]] = {}
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
        return self._indexes[url, _frozen(keys)]

    def refusal(self, url: str, keys: _Keys) -> str | None:
        """Why an index is not trusted, None if it is or never came."""
        refused = self._refused.get(url, {}).get(_frozen(keys))
        return str(refused) if refused else None

    def is_fresh(self, url: str, keys: _Keys, answer: Got[None]) -> bool:
        """Whether an index is of now, even if others don't trust it."""
        return answer.problem is None or (url in self._refused and (url, _frozen(keys)) in self._indexes)

    def _reader(self, url: str) -> Callable[[bytes], None]:
        arch = url.split("/")[-2]

        def read(data: bytes) -> None:
            if url not in self._refused:  # then an earlier answer is no better
                for keys in self._keys[url]:
                    try:
                        self._indexes[url, _frozen(keys)] = read_index(data, keys, arch, url)
                    except UntrustedError as error:
                        self._refused.setdefault(url, {})[_frozen(keys)] = error
            for refusal in self._refused.get(url, {}).values():
                raise refusal  # so that the answer is not kept

        return read
