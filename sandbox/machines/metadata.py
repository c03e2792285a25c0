"""The metadata service of one VM: an HTTP server on an ephemeral loopback port, reached in the VM as 169.254.169.254.

IMDSv1 only, as on OUTSCALE: GET below /latest/ or a date, listings for folders, 404 for what is not there, 405 for PUT.
"""

from __future__ import annotations

import re
import threading
import time
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import unquote, urlsplit

from sandbox.machines.protocol import Metadata

VERSIONS = ("1.0", "2007-12-15", "2009-04-04", "2021-03-23", "latest")
_VERSION = re.compile(r"^(latest|1\.0|\d{4}-\d{2}-\d{2})$")
_KEYS = "meta-data/public-keys"
REQUEST_LIMIT_S = 30.0


class MetadataService:
    """Serves from its making until close(). `port` is on 127.0.0.1."""

    def __init__(self, metadata: Metadata, silent_s: float = 0.0) -> None:
        self._metadata = metadata
        self.be_silent(silent_s)
        self._server = _MetadataServer(self)
        self.port: int = self._server.server_address[1]
        serve = partial(self._server.serve_forever, poll_interval=0.05)  # what close() waits for
        threading.Thread(target=serve, name=f"metadata-{self.port}", daemon=True).start()

    def set(self, metadata: Metadata) -> None:
        """Serve this from now on."""
        self._metadata = metadata

    def be_silent(self, seconds: float) -> None:
        """Answer nothing for so long from now on."""
        self._silent_until = time.monotonic() + seconds

    def close(self) -> None:
        """Stop serving and free the port."""
        self._server.shutdown()
        self._server.server_close()

    def silent(self) -> bool:
        """Whether the service is not up yet."""
        return time.monotonic() < self._silent_until

    def answer(self, path: str) -> bytes | None:
        """The body for a path such as `/latest/meta-data/`, or None where there is nothing."""
        version, _, rest = path.lstrip("/").partition("/")
        if not version:
            return "\n".join(VERSIONS).encode()
        if not _VERSION.match(version):
            return None
        entries = self._metadata.entries
        found = entries.get(rest)
        return found if found is not None else listing(entries, rest)


def listing(entries: dict[str, bytes], folder: str) -> bytes | None:
    """List a folder as EC2's service does, with or without its last slash: names, a slash after those of folders.

    Keys are listed by number and name (`0=my-key`); the name is unknown here, so it is the number's.
    """
    prefix = f"{folder.rstrip('/')}/" if folder.strip("/") else ""
    below = {name[len(prefix) :] for name in entries if name.startswith(prefix)}
    if not below:
        return None
    if prefix == f"{_KEYS}/":
        return "\n".join(sorted(f"{number}=key-{number}" for number in {name.split("/")[0] for name in below})).encode()
    return "\n".join(sorted({name.split("/")[0] + ("/" if "/" in name else "") for name in below})).encode()


class _MetadataHandler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server_version = "metadata"
    sys_version = ""
    timeout = REQUEST_LIMIT_S
    server: _MetadataServer

    def do_GET(self) -> None:
        self._reply(with_body=True)

    def do_HEAD(self) -> None:
        self._reply(with_body=False)

    def do_PUT(self) -> None:
        self.close_connection = True
        self._send(405, b"", with_body=False)

    do_POST = do_PUT  # noqa: N815 - the base class asks for this name
    do_DELETE = do_PUT  # noqa: N815

    def log_message(self, *_arguments: object) -> None:
        return

    def _reply(self, *, with_body: bool) -> None:
        if self.server.service.silent():
            self.close_connection = True
            return
        body = self.server.service.answer(unquote(urlsplit(self.path).path))
        self._send(404 if body is None else 200, body or b"", with_body=with_body)

    def _send(self, status: int, body: bytes, *, with_body: bool) -> None:
        self.send_response(status)
        self.send_header("Content-Type", "text/plain")
        self.send_header("Content-Length", str(len(body)))
        if status == 405:
            self.send_header("Allow", "GET, HEAD")
        self.end_headers()
        if with_body:
            self.wfile.write(body)


class _MetadataServer(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, service: MetadataService) -> None:
        self.service = service
        super().__init__(("127.0.0.1", 0), _MetadataHandler)

    def handle_error(self, *_arguments: object) -> None:
        """A VM that was unplugged in the middle of an answer is not an error of the server's."""
