"""Reads many small files by HTTP at once, within one time limit, with validators from earlier runs."""

from __future__ import annotations

import hashlib
import json
import queue
import threading
import time
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import Generic, TypeVar
from urllib.parse import urlsplit

import urllib3
from urllib3.exceptions import HTTPError, NameResolutionError, NewConnectionError, SSLError
from urllib3.exceptions import TimeoutError as HTTPTimeoutError

from omi.support.errors import UpstreamError
from omi.support.own_folder import is_safe
from omi.support.safe_json import read_json

MAX_BODY = 8 * 1024 * 1024
"""Bytes; releases.json has about 64 KiB."""

_CHUNK = 64 * 1024
_LOOPBACK = frozenset({"127.0.0.1", "localhost", "::1"})

T = TypeVar("T")


@dataclass(frozen=True)
class Cached:
    """A file as it was received; `etag` and `last_modified` are the server's validators for it."""

    url: str
    body: bytes
    etag: str | None = None
    last_modified: str | None = None


@dataclass(frozen=True)
class Got(Generic[T]):
    """The answer of one URL: `value` is fresh, or `stale` from an earlier run, or None; `problem` is the reason."""

    value: T | None = None
    stale: bool = False
    missing: bool = False
    """Whether the server answered that it has no such file (404)."""
    problem: str | None = None

    @property
    def warning(self) -> str | None:
        """The problem and its consequence; None if there is no such file."""
        instead = "the answer of an earlier run counts" if self.stale else "going on without it"
        return f"{self.problem}; {instead}" if self.problem is not None and not self.missing else None


_Answer = tuple[int, Cached] | str
"""Status and file, or the reason why there is none."""


class AnswerStore:
    """Earlier answers on disk, one file per URL; losing them costs only time.

    If anyone on this machine may write to the folder, nothing in it is used: the files may be anyone's.

    A file's first line is JSON, with the URL and the server's validators; the body follows as it was received.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def load(self, url: str) -> Cached | None:
        """The earlier answer; None if there is none or it can't be read."""
        with suppress(OSError, ValueError, TypeError):
            if not is_safe(self._folder):
                return None
            head, _, body = self._path(url).read_bytes().partition(b"\n")
            cached = Cached(**read_json(head), body=body)
            if cached.url == url:
                return cached
        return None

    def save(self, cached: Cached) -> None:
        """Write the answer in one step. If the folder can't be written, the next run only reads the whole file
        again."""
        with suppress(OSError):
            self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            if not is_safe(self._folder):
                return
            head = {key: value for key, value in asdict(cached).items() if key != "body"}
            with NamedTemporaryFile(dir=self._folder, delete=False) as file:
                file.write(json.dumps(head).encode() + b"\n" + cached.body)
            Path(file.name).replace(self._path(cached.url))

    def drop(self, url: str) -> None:
        """Forget the answer."""
        with suppress(OSError):
            self._path(url).unlink()

    def _path(self, url: str) -> Path:
        return self._folder / f"{hashlib.sha256(url.encode()).hexdigest()[:32]}.answer"


def get_all(
    wanted: Mapping[str, Callable[[bytes], T]], store: AnswerStore, limit: float, max_body: int = MAX_BODY
) -> dict[str, Got[T]]:
    """Get every URL at once, and read its body with its reader (which raises UpstreamError for a wrong body).

    After `limit` seconds a missing answer counts as not reachable, and so does a body of more than `max_body` bytes.
    Nothing is raised: see Got.
    """
    cached = {url: store.load(url) for url in wanted}
    answers: dict[str, _Answer] = dict(_answers(cached, limit, max_body))
    return {
        url: _judge(answers.get(url, f"no answer within {limit:g} s"), cached[url], read, store)
        for url, read in wanted.items()
    }


def _judge(answer: _Answer, cached: Cached | None, read: Callable[[bytes], T], store: AnswerStore) -> Got[T]:
    if isinstance(answer, str):
        return _fallback(cached, read, answer)
    status, file = answer
    if status == 404:
        return Got(missing=True, problem="the server has no such file")
    if status == 304 and cached is not None:
        return _fallback(cached, read, None)
    if status != 200:
        return _fallback(cached, read, f"the server answered {status}")
    try:
        value = read(file.body)
    except UpstreamError as error:
        return _fallback(cached, read, str(error))
    store.save(file)
    return Got(value)


def _fallback(cached: Cached | None, read: Callable[[bytes], T], problem: str | None) -> Got[T]:
    """The earlier answer: fresh without a problem (304), else stale."""
    if cached is None:
        return Got(problem=problem)
    try:
        return Got(read(cached.body), stale=problem is not None, problem=problem)
    except UpstreamError:
        return Got(problem=problem or "the earlier answer can't be read")


def _answers(cached: Mapping[str, Cached | None], limit: float, max_body: int) -> Iterator[tuple[str, _Answer]]:
    """Answers as they come. The threads are daemons, so one that hangs (a name server, a slow drip) holds nobody up."""
    arrived: queue.SimpleQueue[tuple[str, _Answer]] = queue.SimpleQueue()
    end = time.monotonic() + limit
    for url, earlier in cached.items():
        threading.Thread(target=_ask, args=(url, earlier, end, max_body, arrived), daemon=True).start()
    with suppress(queue.Empty):
        for _ in cached:
            yield arrived.get(timeout=max(0.0, end - time.monotonic()))


def _ask(
    url: str,
    cached: Cached | None,
    end: float,
    max_body: int,
    arrived: queue.SimpleQueue[tuple[str, _Answer]],
) -> None:
    try:
        arrived.put((url, _request(url, cached, end, max_body)))
    except SSLError as error:
        arrived.put((url, f"TLS failed: {error}"))
    except (NameResolutionError, NewConnectionError) as error:  # before timeouts: urllib3 counts them as such
        arrived.put((url, f"it can't be reached ({type(error).__name__})"))
    except HTTPTimeoutError:
        arrived.put((url, "no answer in time"))
    except (HTTPError, OSError, ValueError) as error:
        arrived.put((url, f"it can't be reached ({type(error).__name__})"))


def _request(url: str, cached: Cached | None, end: float, max_body: int) -> _Answer:
    left = max(0.01, end - time.monotonic())
    validators = {"If-None-Match": cached.etag, "If-Modified-Since": cached.last_modified} if cached else {}
    response = _pool(url).request(
        "GET",
        url,
        headers={"User-Agent": "alpine-omi"} | {name: value for name, value in validators.items() if value},
        timeout=urllib3.Timeout(total=left),
        retries=False,
        redirect=False,  # no redirect: it could lead from TLS to plain HTTP, and upstream has none
        preload_content=False,
    )
    try:
        body = bytearray()
        while chunk := response.read1(_CHUNK):
            body += chunk
            if len(body) > max_body or time.monotonic() > end:
                return "the answer is too long"
        headers = response.headers
        return response.status, Cached(url, bytes(body), headers.get("ETag"), headers.get("Last-Modified"))
    finally:
        response.close()


def _pool(url: str) -> urllib3.PoolManager:
    """A pool that checks certificates by the system's authorities and uses the proxy in the environment."""
    parts = urlsplit(url)
    host = parts.hostname or ""
    proxy = urllib.request.getproxies().get(parts.scheme)
    if proxy and host not in _LOOPBACK and not urllib.request.proxy_bypass(host):
        return urllib3.ProxyManager(proxy)
    return urllib3.PoolManager()
