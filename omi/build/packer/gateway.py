"""The gateway from Packer to OAPI: Packer asks this process, which asks the cloud.

Plugin 1.0.2 gives up at the first 429, 500 or 503 and waits for ever for a lost answer. The gateway paces its calls,
repeats them if that is safe, and answers within a limit. Packer never holds the account's secret key, only a key for
this process, which is valid for this build and for the calls that a build needs.
"""

from __future__ import annotations

import datetime as dt
import ipaddress
import json
import re
import secrets
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

from omi.build.packer.refusals import Refusal, refusal_of
from omi.build.packer.signature import is_signed
from omi.outscale.client import Cloud
from omi.outscale.credentials import Credentials
from omi.support.errors import OmiError
from omi.support.safe_json import read_json

_HOST = "127.0.0.1"
_CALLS = frozenset(
    {
        *("ReadAccounts", "ReadImages", "ReadVms", "ReadVolumes", "ReadSnapshots", "ReadSecurityGroups"),
        "ReadSubnets",
        *("CreateVms", "CreateTags", "StopVms", "CreateSnapshot", "CreateImage"),
        *("DeleteVms", "DeleteSnapshot", "DeleteImage"),
    }
)
"""The calls that Packer's plugin makes in a build and its clean-up. DeleteVolume isn't among them: the build VM's
volumes go with it, and the program removes leftovers."""
_ACTION = re.compile(r"/api/v1/([A-Z][A-Za-z]{1,63})/?")
_LONGEST = 4 * 1024 * 1024
"""Bytes of a request's body."""
_IDLE = 600.0
"""Seconds that a connection may stay open without a request."""
_REPORTS = 20
"""At most so many lines about refused calls in one build."""
_END = 10.0
"""Seconds for the server to stop; the threads of calls that still wait for the cloud are left behind."""
_LIFE = dt.timedelta(days=30)
_NO_ANSWER = 503
"""The answer to Packer if the cloud gave none: the plugin gives up, its leftovers are swept, and it begins again."""


@dataclass(frozen=True)
class Gateway:
    """The gateway's URL (in the form of the setting `cloud.api`), key and certificate, for Packer."""

    api: str
    credentials: Credentials
    certificate: Path
    refusals: list[Refusal] = field(default_factory=list)
    """The cloud's refusals so far, oldest first."""


@contextmanager
def open_gateway(cloud: Cloud, folder: Path, say: Callable[[str], None]) -> Iterator[Gateway]:
    """A gateway to the account, on this machine alone; its certificate is written to `folder`."""
    keys = Credentials(secrets.token_hex(10).upper(), secrets.token_hex(20))
    certificate = folder / "alpine-omi-gateway.pem"
    refusals: list[Refusal] = []
    server = _GatewayServer(cloud, keys, say, refusals)
    server.socket = _context(certificate).wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
    thread = threading.Thread(target=server.serve_forever, args=(0.1,), name="gateway", daemon=True)
    thread.start()
    try:
        yield Gateway(f"https://{_HOST}:{server.server_port}/api/v1", keys, certificate, refusals)
    finally:
        server.shutdown()
        server.server_close()
        thread.join(_END)
        certificate.unlink(missing_ok=True)


class _GatewayServer(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False

    def __init__(self, cloud: Cloud, keys: Credentials, say: Callable[[str], None], refusals: list[Refusal]) -> None:
        self.cloud, self.keys, self.say, self.refusals = cloud, keys, say, refusals
        self._said: set[str] = set()
        super().__init__((_HOST, 0), _GatewayHandler)

    def report_once(self, text: str) -> None:
        """Report it unless it was reported before, so that endless calls don't fill the build's log."""
        if text not in self._said and len(self._said) < _REPORTS:
            self._said.add(text)
            self.say(text)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Ignore the error: a client that goes away or speaks no TLS is either Packer's end or doesn't matter."""


class _GatewayHandler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    timeout = _IDLE
    disable_nagle_algorithm = True
    server: _GatewayServer

    def do_POST(self) -> None:
        length = self.headers.get("Content-Length", "")
        action = _ACTION.fullmatch(self.path)
        if action is None or not length.isdecimal() or int(length) > _LONGEST:
            self.close_connection = True  # the rest of the request is not read
            self._answer(400, b"{}")
            return
        body = self.rfile.read(int(length))
        headers = {name.lower(): value for name, value in self.headers.items()}
        if not is_signed(self.path, headers, body, self.server.keys, dt.datetime.now(dt.UTC)):
            self.server.report_once("the gateway for Packer refused a call that this build's key didn't sign")
            self._answer(401, _error("1", "The signature does not match."))
        elif action[1] not in _CALLS:
            self.server.report_once(f"the gateway for Packer refused {action[1]}, which no build by it needs")
            self.server.refusals.append(
                Refusal(action[1], 403, kind="AccessDenied", details="no build needs this call")
            )
            self._answer(403, _error("4", "No build needs this call."))
        else:
            self._answer(*self._ask(action[1], body))

    def _ask(self, action: str, body: bytes) -> tuple[int, bytes]:
        try:
            parameters: Any = read_json(body or b"{}")
        except ValueError:
            return 400, b"{}"
        try:
            status, answer = self.server.cloud.forward(action, parameters if isinstance(parameters, dict) else {})
        except OmiError as error:
            self.server.say(str(error))
            self.server.refusals.append(Refusal(action, _NO_ANSWER, details=str(error)))
            return _NO_ANSWER, b"{}"
        if refused := refusal_of(action, status, answer):
            self.server.refusals.append(refused)
        return status, answer

    def _answer(self, status: int, body: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        if self.close_connection:
            self.send_header("Connection", "close")
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the base class's name
        """Log nothing: Packer's own log has its calls."""


def _error(code: str, details: str) -> bytes:
    told = {"Code": code, "Type": "AccessDenied", "Details": details}
    return json.dumps({"Errors": [told], "ResponseContext": {"RequestId": "gateway"}}).encode()


def _context(path: Path) -> ssl.SSLContext:
    """TLS with a key of this process's own; its certificate is written to `path`."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "alpine-omi gateway")])
    now = dt.datetime.now(dt.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(hours=1))
        .not_valid_after(now + _LIFE)
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address(_HOST))]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .sign(key, hashes.SHA256())
    )
    both = path.with_suffix(".key")
    pem = certificate.public_bytes(Encoding.PEM)
    both.unlink(missing_ok=True)
    both.touch(mode=0o600, exist_ok=False)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    try:
        both.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()) + pem)
        context.load_cert_chain(both)  # the standard library reads it only from a file
    finally:
        both.unlink()
    path.unlink(missing_ok=True)
    with path.open("xb") as file:
        file.write(pem)
    return context
