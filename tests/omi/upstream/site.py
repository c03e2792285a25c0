"""A web server on loopback that plays Alpine's site and mirror, and can misbehave."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from omi.config.settings import UpstreamSettings


@dataclass
class Page:
    """One path's answer; with an etag, a request that knows it gets 304."""

    body: bytes = b""
    status: int = 200
    etag: str | None = None
    headers: dict[str, str] = field(default_factory=dict)
    hangs: bool = False
    """Sends the head and then nothing until the site closes."""
    drips: bool = False
    """Sends a byte now and then, for ever."""


@dataclass
class Site:
    """What is served, and what was asked: path and status.

    An index that a test doesn't give can't be had just now (503): one that isn't there is a repository that isn't.
    """

    pages: dict[str, Page] = field(default_factory=dict)
    asked: list[tuple[str, int]] = field(default_factory=list)
    closing: threading.Event = field(default_factory=threading.Event)
    port: int = 0

    @property
    def settings(self) -> UpstreamSettings:
        base = f"http://127.0.0.1:{self.port}"
        return UpstreamSettings(releases=f"{base}/releases.json", mirror=f"{base}/alpine/")

    def releases(self, *branches: dict[str, Any], **page: Any) -> None:
        body = json.dumps({"latest_stable": "v3.23", "release_branches": branches}).encode()
        self.pages["/releases.json"] = Page(body, **page)

    def latest(self, version: str, text: str, arch: str = "x86_64", **page: Any) -> None:
        self.pages[f"/alpine/v{version}/releases/{arch}/latest-releases.yaml"] = Page(text.encode(), **page)


def branch(version: str, *releases: str, **values: Any) -> dict[str, Any]:
    """A branch in upstream's shape."""
    found = [{"version": one, "date": "2026-09-17"} for one in releases]
    shape = {"rel_branch": f"v{version}", "git_branch": f"{version}-stable", "eol_date": "2027-11-01"}
    return shape | {"arches": ["x86_64", "aarch64"], "releases": found, "keys": {}, "repos": []} | values


def listing(*releases: str, arch: str = "x86_64") -> str:
    """A latest-releases.yaml in upstream's shape, with unquoted versions."""
    flavors = ("alpine-virt", "alpine-minirootfs")
    entries = [
        f"-\n  title: T\n  arch: {arch}\n  version: {one}\n  flavor: {flavor}" for one in releases for flavor in flavors
    ]
    return "---\n" + "\n".join(entries) + "\n"


@contextmanager
def serving() -> Iterator[Site]:
    """The site on a free port; requests that hang are let go at the end."""
    site = Site()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            page = site.pages.get(self.path, Page(status=503 if self.path.endswith("/APKINDEX.tar.gz") else 404))
            known = page.etag is not None and self.headers.get("If-None-Match") == page.etag
            status = 304 if known else page.status
            site.asked.append((self.path, status))
            self.send_response(status)
            for name, value in page.headers.items():
                self.send_header(name, value)
            if page.etag:
                self.send_header("ETag", page.etag)
            body = b"" if known else page.body
            self.send_header("Content-Length", "1000000" if page.hangs or page.drips else str(len(body)))
            self.end_headers()
            self.wfile.write(body)
            self.wfile.flush()
            while page.drips and not site.closing.wait(0.05):
                self.wfile.write(b" ")
                self.wfile.flush()
            if page.hangs:
                site.closing.wait(30)

        def handle(self) -> None:
            try:
                super().handle()
            except ConnectionError:
                self.close_connection = True

        def log_message(self, *args: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        server.daemon_threads = True
        site.port = server.server_port
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
        thread.start()
        try:
            yield site
        finally:
            site.closing.set()
            server.shutdown()
            thread.join(5)
