"""Alpine's own CDN and site, passed through and kept on disk."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import asdict, dataclass, replace
from email.utils import formatdate, parsedate_to_datetime
from http import HTTPStatus
from http.client import HTTPException
from pathlib import Path
from typing import IO

from sandbox.mirror.errors import MirrorError

CDN = "https://dl-cdn.alpinelinux.org"
SITE = "https://alpinelinux.org"
SECDB = "https://secdb.alpinelinux.org"
FRESH_SECONDS = 60.0
FETCH_SECONDS = 60.0


@dataclass(frozen=True)
class Served:
    """A file to send and what identifies this state of it."""

    path: Path
    etag: str
    modified: float


@dataclass(frozen=True)
class CdnAnswer:
    """A server's answer: status, headers (lower-case names) and the body to read."""

    status: int
    headers: Mapping[str, str]
    body: IO[bytes]


Fetch = Callable[[str, Mapping[str, str], float], AbstractContextManager[CdnAnswer]]


@contextmanager
def fetch_https(url: str, headers: Mapping[str, str], seconds: float) -> Iterator[CdnAnswer]:
    """GET over verified TLS; OSError or HTTPException where the server can't be reached or spoken with."""
    request = urllib.request.Request(url, headers=dict(headers))  # noqa: S310 - CDN, SITE and SECDB are https
    try:
        response = urllib.request.urlopen(request, timeout=seconds)  # noqa: S310
    except urllib.error.HTTPError as error:
        with error:
            yield CdnAnswer(error.code, {}, error.fp)
        return
    with response:
        if not response.url.startswith("https://"):
            raise OSError(f"{url} led to {response.url}, which is not encrypted")
        yield CdnAnswer(response.status, {k.lower(): v for k, v in response.headers.items()}, response)


@dataclass(frozen=True)
class _Facts:
    """The notes on a kept file; times are seconds since 1970."""

    etag: str
    modified: float
    checked: float


class CachedCdn:
    """Alpine's CDN behind a folder of what was fetched before."""

    def __init__(self, folder: Path, fetch: Fetch = fetch_https) -> None:
        """`folder` is made on first use; `fetch` is how a URL is asked for."""
        self._folder = folder
        self._fetch = fetch

    def reachable(self, seconds: float) -> bool:
        """Whether both the CDN and the site answer over verified TLS within `seconds` each."""
        try:
            for url in (f"{CDN}/alpine/last-updated", f"{SITE}/releases.json"):
                with self._fetch(url, {}, seconds) as answer:
                    if answer.status != HTTPStatus.OK:
                        return False
        except (OSError, HTTPException):
            return False
        return True

    def get(self, path: str) -> Served | None:
        """The file at `/alpine/...`, `/security/...` or `/releases.json`, None where upstream has none.

        MirrorError where it fails.

        A package never changes once fetched; everything else is asked for again after FRESH_SECONDS.
        """
        url = upstream_url(path)
        if url is None:
            return None
        place = self._folder / hashlib.sha256(url.encode()).hexdigest()
        facts = _read_facts(place)
        if facts and (path.endswith(".apk") or time.time() - facts.checked < FRESH_SECONDS):
            return _served(place, facts)
        try:
            return self._refresh(url, place, facts)
        except (OSError, HTTPException) as error:
            if facts:
                return _served(place, facts)
            raise MirrorError(f"{url} can't be fetched ({error}): check this machine's network") from None

    def _refresh(self, url: str, place: Path, facts: _Facts | None) -> Served | None:
        conditions = {"If-None-Match": facts.etag} if facts and facts.etag else {}
        with self._fetch(url, conditions, FETCH_SECONDS) as answer:
            if answer.status == HTTPStatus.NOT_FOUND:
                return None
            if answer.status == HTTPStatus.NOT_MODIFIED and facts:
                return _keep(place, replace(facts, checked=time.time()))
            if answer.status != HTTPStatus.OK:
                raise OSError(f"status {answer.status}")
            self._folder.mkdir(parents=True, exist_ok=True)
            temporary = place.with_name(f"{place.name}.{os.getpid()}.{time.monotonic_ns()}")
            with temporary.open("wb") as file:
                shutil.copyfileobj(answer.body, file, 1 << 20)
            length = answer.headers.get("content-length")
            if length is not None and int(length) != temporary.stat().st_size:
                temporary.unlink()
                raise OSError("the answer was cut short")
            temporary.replace(place)
            modified = answer.headers.get("last-modified", formatdate(usegmt=True))
            etag = answer.headers.get("etag", "")
            return _keep(place, _Facts(etag, parsedate_to_datetime(modified).timestamp(), time.time()))


def upstream_url(path: str) -> str | None:
    """Upstream's URL for the mirror's `path`."""
    if path == "/releases.json":
        return f"{SITE}{path}"
    if path.startswith("/alpine/keys/"):
        return f"{SITE}{path.removeprefix('/alpine')}"
    if path.startswith("/security/"):
        return f"{SECDB}{path.removeprefix('/security')}"
    if path.startswith("/alpine/"):
        return f"{CDN}{path}"
    return None


def _facts_place(place: Path) -> Path:
    return place.with_name(f"{place.name}.json")


def _read_facts(place: Path) -> _Facts | None:
    try:
        facts = json.loads(_facts_place(place).read_text(encoding="utf-8"))
        return _Facts(facts["etag"], facts["modified"], facts["checked"]) if place.is_file() else None
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _keep(place: Path, facts: _Facts) -> Served:
    temporary = place.with_name(f"{place.name}.facts.{os.getpid()}.{time.monotonic_ns()}")
    temporary.write_text(json.dumps(asdict(facts)), encoding="utf-8")
    temporary.replace(_facts_place(place))
    return _served(place, facts)


def _served(place: Path, facts: _Facts) -> Served:
    etag = facts.etag or f'"{int(facts.modified):x}-{place.stat().st_size:x}"'
    return Served(place, etag, facts.modified)
