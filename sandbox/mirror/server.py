"""The mirror's HTTP server on loopback: the fixture or the CDN behind it, and faults on demand."""

from __future__ import annotations

import ipaddress
import os
import shutil
import socket
import threading
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime
from enum import StrEnum
from http import HTTPStatus
from pathlib import Path, PurePosixPath

from werkzeug.serving import BaseWSGIServer, WSGIRequestHandler, make_server
from werkzeug.utils import send_file
from werkzeug.wrappers import Request, Response

from sandbox.mirror.cache import ensure, make_mirror, signing_key, silent
from sandbox.mirror.catalogue import DEFAULT_CATALOGUE, Catalogue
from sandbox.mirror.errors import MirrorError
from sandbox.mirror.make import Progress
from sandbox.mirror.package import ARCH
from sandbox.mirror.renew import renew_packages
from sandbox.mirror.secdb import lay_secdb
from sandbox.mirror.upstream import CachedCdn, Served

_GARBAGE = b"\xff\x00 this is not what was asked for\n" * 64
_IDLE_SECONDS = 30.0
_SERVED = ("/alpine/", "/security/")


class MirrorSource(StrEnum):
    """The source of the served files; AUTO takes the CDN where it answers, else the fixture."""

    AUTO = "auto"
    CDN = "cdn"
    FIXTURE = "fixture"


class MirrorFault(StrEnum):
    """The mirror's fault while one is set."""

    DOWN = "down"
    GARBAGE = "garbage"


@dataclass(frozen=True)
class MirrorSettings:
    """`probe_seconds` limits each of the two requests that tell whether the CDN can be reached."""

    source: MirrorSource = MirrorSource.AUTO
    catalogue: Catalogue = DEFAULT_CATALOGUE
    probe_seconds: float = 3.0


@dataclass(frozen=True)
class MirrorStatus:
    """The state of a running mirror.

    `current` maps each branch to its release (empty for the CDN). `keys` is the folder of the public keys to trust,
    which stays the same while the cache does; None for the CDN, whose packages Alpine's own keys sign.
    """

    url: str
    source: MirrorSource
    current: dict[str, str]
    keys: Path | None
    fault: MirrorFault | None


class MirrorServer:
    """A running mirror; `close` ends it. Its methods may be called from any thread."""

    def __init__(self, address: tuple[str, int], cache: Path, settings: MirrorSettings, progress: Progress) -> None:
        """Use `serve`."""
        self._cache = cache
        self._full = settings.catalogue
        self._catalogue = settings.catalogue
        self._fault: MirrorFault | None = None
        self._lock = threading.Lock()
        self._keys: Path | None = None
        self._renewed: dict[tuple[str, str], str] = {}
        self._fixed: dict[tuple[str, str], dict[str, tuple[str, ...]]] = {}
        self._trees = 0
        self._tree: Path | None = None
        self._http = _bind(address, self)
        try:
            self._upstream = _choose(cache, settings, progress)
            if self._upstream is None:
                self._keys = ensure(cache, progress) / "keys"
                _sweep(cache)
                self.offer(settings.catalogue)
        except BaseException:
            self._http.server_close()
            raise
        self._thread = threading.Thread(target=self._http.serve_forever, args=(0.1,), name="mirror", daemon=True)
        self._thread.start()

    @property
    def url(self) -> str:
        """Where it listens, e.g. `http://127.0.0.1:7442`."""
        host, port = self._http.server_address[:2]
        return f"http://{host if isinstance(host, str) else host.decode()}:{port}"

    def status(self) -> MirrorStatus:
        """The state now."""
        if self._upstream is not None:
            return MirrorStatus(self.url, MirrorSource.CDN, {}, None, self._fault)
        current = {branch.name: branch.current for branch in self._catalogue.branches if branch.current}
        return MirrorStatus(self.url, MirrorSource.FIXTURE, current, self._keys, self._fault)

    def set_fault(self, fault: MirrorFault | None) -> None:
        """Set a fault, or end it."""
        self._fault = fault

    def publish(self, branch: str, release: str) -> None:
        """Make `release` the newest of `branch`, in the packages and in the lists.

        A release of the settings' catalogue hides those after it; any other comes out today. MirrorError for an
        unknown branch, or when the CDN is passed through.
        """
        known = [listed.version for listed in self._full.branch(branch).releases]
        if release in known:
            wanted = self._full.at_release(branch, release).branch(branch)
        else:
            today = datetime.now(UTC).date()
            wanted = self._catalogue.with_release(branch, release, today).branch(branch)
        told = self._catalogue.branch(branch).deprecated_keys
        self.offer(self._catalogue.with_branch(replace(wanted, deprecated_keys=told)))

    def publish_package(self, branch: str, name: str, version: str, fixes: Sequence[str] = ()) -> None:
        """Offer a package of `branch`'s main repository, and all of the same source, in another version from now on.

        `fixes` are ids of what the security data calls fixed in it. MirrorError for an unknown branch or package, or
        when the CDN is passed through.
        """
        self._full.branch(branch)
        before = dict(self._renewed), dict(self._fixed)
        self._renewed[branch, name] = version
        if fixes:
            self._fixed[branch, name] = {**self._fixed.get((branch, name), {}), version: tuple(fixes)}
        try:
            self.offer(self._catalogue)
        except MirrorError:
            self._renewed, self._fixed = before
            raise

    def deprecate_key(self, branch: str, key: str, since: date) -> None:
        """Say in releases.json that a signing key, by its file name, is not to be trusted for `branch` from a day on.

        MirrorError for an unknown branch, or when the CDN is passed through.
        """
        known = self._catalogue.branch(branch)
        days = {**dict(known.deprecated_keys), key: since}
        self.offer(self._catalogue.with_branch(replace(known, deprecated_keys=tuple(days.items()))))

    def offer(self, catalogue: Catalogue) -> None:
        """Serve these branches and releases from now on; MirrorError when the CDN is passed through."""
        if self._upstream is not None:
            raise MirrorError(
                "the mirror passes Alpine's CDN through: start it with the source `fixture` to change releases"
            )
        with self._lock:
            self._trees += 1
            place = self._cache / "mirror" / f".served-{os.getpid()}-{id(self):x}-{self._trees}"
            made = make_mirror(self._cache, place, catalogue, self.url)
            fixes: dict[str, dict[str, dict[str, tuple[str, ...]]]] = {}
            try:
                for (branch, name), version in self._renewed.items():
                    main = made / "alpine" / branch / "main" / ARCH
                    source = renew_packages(main, name, version, signing_key(self._cache))
                    if fixed := self._fixed.get((branch, name)):
                        fixes.setdefault(branch, {}).setdefault(source, {}).update(fixed)
                lay_secdb(made / "security", catalogue, fixes)
            except MirrorError:
                shutil.rmtree(made, ignore_errors=True)
                raise
            old, self._tree, self._catalogue = self._tree, made, catalogue
        if old is not None:
            shutil.rmtree(old, ignore_errors=True)

    def close(self) -> None:
        """Stop listening and remove what was laid out to be served; harmless when repeated."""
        if self._thread.is_alive():
            self._http.shutdown()
            self._thread.join(timeout=10)
        self._http.server_close()
        if self._tree is not None:
            shutil.rmtree(self._tree, ignore_errors=True)

    def find(self, path: str) -> Served | None:
        """The file at a URL path; None if there is none."""
        if self._upstream is not None:
            return self._upstream.get(path)
        tree = self._tree
        parts = PurePosixPath(path).parts[1:]
        if tree is None or ".." in parts or not (path == "/releases.json" or path.startswith(_SERVED)):
            return None
        place = tree.joinpath(*parts)
        if not place.is_file():
            return None
        facts = place.stat()
        return Served(place, f'"{facts.st_mtime_ns:x}-{facts.st_size:x}"', facts.st_mtime)

    def answer(self, request: Request) -> Response:
        """The answer to a request; a file that the client has already is not sent again."""
        if request.method not in ("GET", "HEAD"):
            return Response("read only\n", HTTPStatus.METHOD_NOT_ALLOWED)
        if self._fault is MirrorFault.DOWN:
            return Response("the mirror is down, as it was asked to be\n", HTTPStatus.SERVICE_UNAVAILABLE)
        if self._fault is MirrorFault.GARBAGE:
            return Response(_GARBAGE)
        try:
            found = self.find(request.path)
        except MirrorError as error:
            return Response(f"{error}\n", HTTPStatus.BAD_GATEWAY)
        if found is None:
            return Response("not found\n", HTTPStatus.NOT_FOUND)
        response = send_file(found.path, request.environ, conditional=False, etag=False, last_modified=found.modified)
        response.headers["ETag"] = found.etag
        # By its name's ending: a client would unpack the index, which is to come as it is stored and signed.
        response.headers.pop("Content-Encoding", None)
        return response.make_conditional(request)


def serve(
    address: tuple[str, int],
    cache: Path,
    settings: MirrorSettings = MirrorSettings(),
    progress: Progress = silent,
) -> MirrorServer:
    """Start serving in a thread; returns once requests are answered. Port 0 takes a free one.

    MirrorError where the address isn't loopback or is in use, or the fixture can't be made.
    """
    return MirrorServer(address, cache, settings, progress)


class _MirrorHandler(WSGIRequestHandler):
    protocol_version = "HTTP/1.1"
    timeout = _IDLE_SECONDS

    def log(self, type: str, message: str, *args: object) -> None:  # noqa: A002 - werkzeug's name
        """Log nothing: nobody needs the mirror's requests."""


def _bind(address: tuple[str, int], mirror: MirrorServer) -> BaseWSGIServer:
    host, port = address
    try:
        loopback = ipaddress.ip_address(host).is_loopback
    except ValueError:
        loopback = False
    if not loopback:
        raise MirrorError(f"the mirror listens on loopback addresses only, not on {host}: use 127.0.0.1")
    try:
        listener = socket.create_server(address, backlog=32)
    except OSError as error:
        raise MirrorError(f"the mirror can't listen on {host}:{port} ({error.strerror}): choose another port") from None
    with listener:
        app = Request.application(mirror.answer)
        return make_server(host, port, app, threaded=True, request_handler=_MirrorHandler, fd=listener.fileno())


def _choose(cache: Path, settings: MirrorSettings, progress: Progress) -> CachedCdn | None:
    if settings.source is MirrorSource.FIXTURE:
        return None
    upstream = CachedCdn(cache / "mirror" / "cdn")
    reachable = upstream.reachable(settings.probe_seconds)
    if not reachable and settings.source is MirrorSource.CDN:
        raise MirrorError("Alpine's CDN can't be reached over HTTPS: check the network, or use the source `fixture`")
    progress("passing Alpine's CDN through" if reachable else "Alpine's CDN can't be reached: serving the fixture")
    return upstream if reachable else None


def _sweep(cache: Path) -> None:
    """Remove what servers that were killed left laid out."""
    for folder in (cache / "mirror").glob(".served-*"):
        owner = folder.name.split("-")[1]
        if not Path("/proc", owner).exists():
            shutil.rmtree(folder, ignore_errors=True)
