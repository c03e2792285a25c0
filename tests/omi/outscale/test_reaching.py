"""Each way in which the cloud can't be reached is told by its own cause, with its own cure."""

from __future__ import annotations

import datetime as dt
import re
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from email.utils import format_datetime
from pathlib import Path

import pytest

from omi.build.packer.gateway import _context
from omi.outscale.client import Cloud
from omi.outscale.credentials import Credentials
from omi.outscale.deadline import TooLateError, within
from omi.outscale.reaching import clock_error
from omi.outscale.refused import RefusedKeyError
from omi.outscale.waiting import InterruptedBuildError
from omi.state.image import CloudAccess, Limits
from omi.support.errors import OmiError
from tests.omi.specs import make_access
from tests.sandbox.client import Sandbox

KEYS = Credentials("AKTEST", "SECRETTEST", "a test")
QUICK = Limits(connect=1, answer=1)


@pytest.fixture(autouse=True)
def alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, impatient: None) -> None:
    """No proxy and no memory of refused keys but a test's own."""
    monkeypatch.setenv("ALPINE_OMI_CACHE", str(tmp_path / "cache"))
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)


def told(url: str, ca_file: Path | None = None, keys: Credentials = KEYS) -> str:
    """What a first call comes to."""
    access = make_access(
        region="eu-west-2", api=f"{url}/api/v1", ca_file=str(ca_file) if ca_file else None, limits=QUICK
    )
    with pytest.raises(OmiError) as raised:
        _ = Cloud(access, keys).account
    assert "\n" not in str(raised.value)
    assert KEYS.secret_key not in str(raised.value)
    return str(raised.value)


@contextmanager
def server(answer: Callable[[socket.socket], None], context: ssl.SSLContext | None = None) -> Iterator[str]:
    """Answers each connection so; its URL."""
    listener = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        while True:
            try:
                link, _ = listener.accept()
            except OSError:
                return
            with link:
                try:
                    answer(context.wrap_socket(link, server_side=True) if context else link)
                except OSError:
                    continue

    threading.Thread(target=serve, daemon=True).start()
    try:
        yield f"http{'s' if context else ''}://127.0.0.1:{listener.getsockname()[1]}"
    finally:
        listener.close()


def page(status: str, body: bytes = b"<html>", head: str = "") -> Callable[[socket.socket], None]:
    def answer(link: socket.socket) -> None:
        link.recv(65536)
        link.sendall(
            f"HTTP/1.1 {status}\r\n{head}Content-Length: {len(body)}\r\nConnection: close\r\n\r\n".encode() + body
        )

    return answer


def test_a_name_without_an_address() -> None:
    assert "nowhere.invalid has no address" in (line := told("https://nowhere.invalid"))
    assert "check that Region eu-west-2 and the endpoint's URL are right" in line


def test_a_port_where_nothing_listens() -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    assert "connection refused: nothing listens there; check the endpoint's URL" in told(f"http://127.0.0.1:{port}")


def test_a_server_that_takes_no_connection() -> None:
    with socket.create_server(("127.0.0.1", 0), backlog=0) as full:
        waiting = [socket.socket() for _ in range(3)]
        for each in waiting:
            each.setblocking(False)
            each.connect_ex(full.getsockname())
        line = told(f"http://127.0.0.1:{full.getsockname()[1]}")
        for each in waiting:
            each.close()
    assert "no connection within 1 s (cloud.limits.connect)" in line
    assert "HTTPS_PROXY" in line


def test_an_answer_that_never_comes() -> None:
    with server(lambda link: time.sleep(3)) as url:
        assert "no answer to ReadAccounts within 1 s (cloud.limits.answer); run again" in told(url)


def test_a_connection_that_is_closed() -> None:
    with server(lambda link: None) as url:
        assert "the connection was closed before ReadAccounts was answered; run again" in told(url)


def test_a_certificate_of_an_unknown_authority(tmp_path: Path) -> None:
    with server(lambda link: None, _context(tmp_path / "own.pem")) as url:
        line = told(url)
    assert "its TLS certificate is not trusted (self-signed certificate" in line
    assert "set cloud.ca_file" in line


def test_a_certificate_of_another_host(tmp_path: Path) -> None:
    with server(lambda link: None, _context(tmp_path / "own.pem")) as url:
        line = told(url.replace("127.0.0.1", "localhost"), tmp_path / "own.pem")
    assert "its TLS certificate is another host's" in line
    assert "cloud.api" in line


def test_a_server_that_speaks_no_tls() -> None:
    with server(page("200 OK")) as url:
        assert "127.0.0.1 does not speak TLS as it should" in told(url.replace("http:", "https:"))


@pytest.mark.parametrize("proxy", ["http://user:hush@127.0.0.1:9", "http://nowhere.invalid:3128"])
def test_a_proxy_that_does_not_connect(monkeypatch: pytest.MonkeyPatch, proxy: str) -> None:
    monkeypatch.setenv("HTTPS_PROXY", proxy)
    line = told("https://api.eu-west-2.example")
    assert f"the proxy {proxy.replace('user:hush@', '')} (HTTPS_PROXY) did not connect to it (" in line
    assert "correct or unset HTTPS_PROXY, or name the host in NO_PROXY" in line
    assert "hush" not in line


@pytest.mark.parametrize(
    ("proxy", "why"),
    [
        ("::bad", r"\(Failed to parse"),
        ("socks5://127.0.0.1:1", r"\(socks5 is none of http and https\); correct or unset HTTPS_PROXY"),
    ],
)
def test_a_proxy_that_is_none(monkeypatch: pytest.MonkeyPatch, proxy: str, why: str) -> None:
    monkeypatch.setenv("HTTPS_PROXY", proxy)
    assert re.search(rf"the proxy {proxy} \(HTTPS_PROXY\) did not connect to it {why}", told("https://api.example"))


@pytest.mark.parametrize(
    ("status", "cure"),
    [
        ("407 Proxy Authentication Required", "put its user and password into HTTPS_PROXY"),
        ("403 Forbidden", "correct or unset HTTPS_PROXY"),
    ],
)
def test_a_proxy_that_refuses(monkeypatch: pytest.MonkeyPatch, status: str, cure: str) -> None:
    with server(page(status)) as proxy:
        monkeypatch.setenv("HTTPS_PROXY", proxy)
        assert f"(Tunnel connection failed: {status}); {cure}, or name the host in NO_PROXY" in told(
            "https://api.example"
        )


@pytest.mark.parametrize("status", ["404 Not Found", "301 Moved Permanently", "405 Method Not Allowed"])
def test_an_endpoint_that_is_not_the_apis(status: str) -> None:
    with server(page(status)) as url:
        line = told(url)
    assert f"HTTP {status[:3]} without an error of the API; the endpoint is wrong: correct cloud.api" in line


@pytest.mark.parametrize("status", ["200 OK", "502 Bad Gateway", "403 Forbidden"])
def test_a_page_instead_of_an_answer(status: str) -> None:
    with server(page(status)) as url:
        assert "is there a proxy or a page of maintenance? Run again" in told(url)


def test_a_clock_that_is_wrong_is_not_taken_for_a_wrong_key() -> None:
    behind = format_datetime(dt.datetime.now(dt.UTC) - dt.timedelta(hours=1), usegmt=True)
    with server(page("401 Unauthorized", b"{}", f"Date: {behind}\r\n")) as url:
        line = told(url)
        assert "this machine's clock is 36" in line
        assert "ahead of the server's: set the clock" in line
        assert "set the clock" in told(url), "and the key isn't remembered as refused"


def test_a_clock_that_is_right_or_not_told_blames_the_key() -> None:
    now = format_datetime(dt.datetime.now(dt.UTC), usegmt=True)
    for headers in ({}, {"date": "yesterday"}, {"date": now}):
        assert clock_error("https://api", headers) is None


def test_a_refused_key(sandbox: Sandbox, access: CloudAccess) -> None:
    known = sandbox.profiles["main"]
    with pytest.raises(RefusedKeyError, match="refused the access key from a test"):
        _ = Cloud(access, Credentials(known["access_key"], "wrong", "a test")).account


def test_work_without_a_limit_gets_one() -> None:
    assert within(5, lambda: 7) == 7
    with pytest.raises(TooLateError):
        within(0.05, lambda: time.sleep(2))
    with pytest.raises(TimeoutError, match="its own"):
        within(5, lambda: (_ for _ in ()).throw(TimeoutError("its own")))
    stop = threading.Event()
    stop.set()
    with pytest.raises(InterruptedBuildError):
        within(5, lambda: time.sleep(2), stop)
