"""What is fetched has an end, in bytes and in seconds, and comes from where it was asked for."""

from __future__ import annotations

import resource
import socket
import threading
import time
import zlib
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path

import pytest

from omi.outscale import client, exchange
from omi.outscale.credentials import Credentials
from omi.state.image import Limits
from omi.support.errors import CloudError
from omi.upstream.http import AnswerStore, Got, get_all
from tests.omi.specs import make_access

LIMIT = 1.0  # seconds
ROOM = 100_000  # bytes
OK = b"HTTP/1.1 200 OK\r\n"

Talk = Callable[[socket.socket], None]


def endless(link: socket.socket) -> None:
    """A body without a length that never ends."""
    link.sendall(OK + b"\r\n")
    while True:
        link.sendall(b"x" * 65536)


def chunks(link: socket.socket) -> None:
    """The same in chunks."""
    link.sendall(OK + b"Transfer-Encoding: chunked\r\n\r\n")
    while True:
        link.sendall(b"1000\r\n" + b"x" * 4096 + b"\r\n")


def slow_head(link: socket.socket) -> None:
    """Header after header, a byte now and then."""
    link.sendall(OK)
    while True:
        link.sendall(b"x: y\r\n")
        time.sleep(0.05)


def long_head(link: socket.socket) -> None:
    """Headers without end, as fast as they go."""
    link.sendall(OK)
    while True:
        link.sendall(b"a" * 60 + b": " + b"b" * 60000 + b"\r\n")


def slow_body(link: socket.socket) -> None:
    """A byte now and then."""
    link.sendall(OK + b"Content-Length: 100000\r\n\r\n")
    while True:
        link.sendall(b"x")
        time.sleep(0.05)


def packed(link: socket.socket) -> None:
    """A body that is small on the wire and 100 MiB when it is unpacked."""
    body = bomb()
    link.sendall(OK + b"Content-Encoding: gzip\r\nContent-Length: %d\r\n\r\n" % len(body) + body)


@cache
def bomb() -> bytes:
    packing = zlib.compressobj(9, wbits=31)
    return b"".join([*(packing.compress(bytes(1024**2)) for _ in range(100)), packing.flush()])


def nothing(link: socket.socket) -> None:
    """It connects, and says no word."""
    time.sleep(10)


def garbage(link: socket.socket) -> None:
    """No HTTP at all."""
    link.sendall(b"\0\xff" * 5000)


def redirect(to: str) -> Talk:
    """Somewhere else."""

    def talk(link: socket.socket) -> None:
        link.sendall(f"HTTP/1.1 302 Found\r\nLocation: {to}\r\nContent-Length: 0\r\n\r\n".encode())

    return talk


class Server:
    """Answers every connection by one way to talk, and counts them."""

    def __init__(self) -> None:
        self.talk: Talk = nothing
        self.connections = 0
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}"
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self) -> None:
        while True:
            try:
                link, _ = self._listener.accept()
            except OSError:
                return
            self.connections += 1
            threading.Thread(target=self._answer, args=(link,), daemon=True).start()

    def _answer(self, link: socket.socket) -> None:
        with link:
            try:
                link.recv(65536)
                self.talk(link)
            except OSError:
                return

    def close(self) -> None:
        self._listener.close()


@pytest.fixture
def server() -> Iterator[Server]:
    made = Server()
    yield made
    made.close()


def fetch(url: str, folder: Path) -> Got[bytes]:
    return get_all({url: bytes}, AnswerStore(folder), LIMIT, ROOM)[url]


@pytest.mark.parametrize("talk", [endless, chunks, slow_head, long_head, slow_body, packed, nothing, garbage])
def test_no_server_can_hold_a_fetch_up_or_fill_the_memory(server: Server, tmp_path: Path, talk: Talk) -> None:
    server.talk = talk
    bomb()
    before, began = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, time.monotonic()
    got = fetch(server.url + "/x", tmp_path)
    assert time.monotonic() - began < LIMIT + 5  # the rest is a busy machine's
    assert got.value is None
    assert got.problem
    assert "\n" not in got.problem
    assert list(tmp_path.iterdir()) == []
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 150 * 1024  # KiB


@pytest.mark.parametrize("to", ["http://127.0.0.2:1/x", "file:///etc/passwd", "//evil.example.org/x", "/loop"])
def test_a_redirect_is_not_followed(server: Server, tmp_path: Path, to: str) -> None:
    server.talk = redirect(to)
    got = fetch(server.url + "/x", tmp_path)
    assert (got.value, got.problem) == (None, "the server answered 302")
    assert server.connections == 1


@pytest.mark.parametrize("url", ["file:///etc/passwd", "ftp://127.0.0.1/x", "gopher://127.0.0.1/x"])
def test_nothing_but_http_is_fetched(tmp_path: Path, url: str) -> None:
    got = fetch(url, tmp_path)
    assert got.value is None
    assert got.problem


@pytest.mark.parametrize(
    "talk", [endless, chunks, slow_head, long_head, slow_body, packed, nothing, garbage, redirect("file:///etc/passwd")]
)
def test_an_api_that_answers_without_end_is_left(server: Server, monkeypatch: pytest.MonkeyPatch, talk: Talk) -> None:
    server.talk = talk
    bomb()
    monkeypatch.setattr(exchange, "LONGEST", ROOM)
    monkeypatch.setattr(client, "_pause", lambda tries: None)
    limits = Limits(connect=1, answer=1)
    access = make_access(region="eu-west-2", api=f"{server.url}/api/v1", limits=limits)
    began = time.monotonic()
    with pytest.raises(CloudError) as raised:
        client.Cloud(access, Credentials("AKHOSTILE", "SKHOSTILE")).call("ReadVms")
    assert time.monotonic() - began < 2 * client._TRIES + 5
    assert "SKHOSTILE" not in str(raised.value)
    assert server.connections <= client._TRIES
