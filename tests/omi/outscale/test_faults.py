from __future__ import annotations

import ssl
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from omi.outscale.client import Cloud
from omi.outscale.credentials import Credentials
from omi.outscale.entry import ssh_source
from omi.outscale.images import find_own, read_omi
from omi.support.errors import BuildError, CloudError, CredentialsError
from tests.omi.specs import make_access

KEYS = Credentials("AKTEST", "SECRETTEST", "a test")
REFUSED = b"<Response><Errors><Error><Code>AuthFailure</Code><Message>no</Message></Error></Errors></Response>"


class Refusing(BaseHTTPRequestHandler):
    """Answers every call with a 401 and counts them."""

    calls = 0

    def do_POST(self) -> None:
        type(self).calls += 1
        self.rfile.read(int(self.headers.get("Content-Length", 0)))
        self.send_response(401)
        self.send_header("Content-Length", str(len(REFUSED)))
        self.end_headers()
        self.wfile.write(REFUSED)

    def log_message(self, *_: object) -> None:
        return


@pytest.fixture
def refusing() -> Iterator[tuple[str, type[Refusing]]]:
    handler = type("Counting", (Refusing,), {"calls": 0})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}", handler
    server.shutdown()
    server.server_close()


def cloud(url: str) -> Cloud:
    return Cloud(make_access(region="eu-west-2", api=f"{url}/api/v1"), KEYS)


def test_a_refused_key_is_tried_once(refusing: tuple[str, type[Refusing]]) -> None:
    url, handler = refusing
    with pytest.raises(CredentialsError, match="refused the access key from a test"):
        read_omi(cloud(url), "ami-00000001")
    assert handler.calls == 1


def test_a_refused_key_is_told_with_what_more_tries_would_do(refusing: tuple[str, type[Refusing]]) -> None:
    url, handler = refusing
    with pytest.raises(CredentialsError, match="four wrong tries lock the account"):
        find_own(cloud(url), "alpine")
    assert handler.calls == 1


def test_unreachable_endpoint_is_named() -> None:
    url = "http://127.0.0.1:9"
    with pytest.raises(CloudError, match=r"http://127\.0\.0\.1:9/api/v1: connection refused"):
        _ = cloud(url).account


def test_plain_server_where_tls_is_expected_is_one_line(refusing: tuple[str, type[Refusing]]) -> None:
    url, _ = refusing
    with pytest.raises(CloudError, match="TLS") as raised:
        _ = cloud(url.replace("http:", "https:")).account
    assert "\n" not in str(raised.value)
    assert ssl.OPENSSL_VERSION not in str(raised.value)


def test_ssh_source_is_the_loopback_for_a_local_cloud() -> None:
    assert ssh_source("auto", "https://127.0.0.1:7440/api/v1") == "127.0.0.1/32"


def test_ssh_source_given_is_normalised_and_checked() -> None:
    assert ssh_source("192.0.2.7", "https://127.0.0.1") == "192.0.2.7/32"
    with pytest.raises(BuildError, match="is not a CIDR"):
        ssh_source("home", "https://127.0.0.1")
