"""The HTTP side: loopback servers, and what answers OAPI on two of them (TLS and plain), sign-in included."""

from __future__ import annotations

import logging
import socket
import ssl
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Protocol

from sandbox import oapi
from sandbox.auth import AccessKey, HttpRequest, Verifier
from sandbox.cloud.context import LocalCloud
from sandbox.cloud.errors import Fail, RefusedError
from sandbox.cloud.faults import Fault, Whose
from sandbox.cloud.model import Account, now
from sandbox.cloud.store import StoreError
from sandbox.config import REGIONS
from sandbox.control import CallLog, Control

log = logging.getLogger("sandbox")

MAX_BODY = 4 * 1024 * 1024
HANDSHAKE_LIMIT = 10.0
IDLE_LIMIT = 75.0
OAPI_PATHS = ("/api/v1/", "/api/latest/")
CONTROL_PATH = "/_sandbox/"
HANG_LIMIT = 3600.0


@dataclass(frozen=True)
class HttpAnswer:
    """One answer; status 0 is none: the connection is closed."""

    status: int
    body: bytes
    content_type: str = "application/json"
    headers: tuple[tuple[str, str], ...] = ()


NO_ANSWER = HttpAnswer(0, b"")


NOBODY = Account(id="", account_id="", region=REGIONS[0].name, created=now())
"""The caller of what needs no signature."""


class Api:
    """Answers OAPI's calls and, on the plain port, what tests ask for; safe for threads."""

    def __init__(
        self, cloud: LocalCloud, verifier: Verifier, accounts: Mapping[str, Account], control: Control
    ) -> None:
        self._cloud = cloud
        self._verifier = verifier
        self._accounts = accounts
        self._control = control

    @property
    def calls(self) -> CallLog:
        return self._control.calls

    def answer(self, request: HttpRequest, *, plain: bool) -> HttpAnswer:
        """Answer one request; the control face is on the plain port only."""
        if request.path.startswith(CONTROL_PATH):
            if not plain:
                return HttpAnswer(404, b'{"error": "the control face is on the plain port"}')
            status, body = self._control.answer(
                request.method, request.path, request.query, request.headers, request.body
            )
            return HttpAnswer(status, body)
        action, started = _action(request.path), time.monotonic()
        key: AccessKey | None = None
        try:
            if "authorization" in request.headers or oapi.needs_signature(action):
                key = self._verifier.verify(request)
            answer = self._run(action, request, self._accounts[key.profile] if key else NOBODY)
        except RefusedError as error:
            answer = _refusal(error)
        except StoreError as error:
            log.warning("%s", error)
            answer = _refusal(RefusedError(Fail.INTERNAL, str(error)))
        except Exception:
            log.exception("%s failed", action)
            answer = _refusal(RefusedError(Fail.INTERNAL, "An internal error; see the sandbox's server.log."))
        self.calls.add("oapi", action, key.profile if key else None, answer.status, started, oapi.shown(request.body))
        return answer

    def _run(self, action: str, request: HttpRequest, caller: Account) -> HttpAnswer:
        self._control.users.require(caller.profile or "", "oapi", action)
        self._cloud.requests.admit(caller)
        whose = Whose(caller.profile, caller.region)
        return with_faults(
            self._cloud,
            whose,
            self._cloud.faults.for_call(action, "oapi", whose),
            lambda: self._done(action, request, caller, whose),
            _of_fault,
        )

    def _done(self, action: str, request: HttpRequest, caller: Account, whose: Whose) -> HttpAnswer:
        if request.method != "POST":
            raise RefusedError(Fail.BAD_METHOD, f"{request.method} is not allowed, a call is a POST.")
        done = oapi.handle(self._cloud, caller, action, request.body)
        omitted = self._cloud.faults.omitted(action, whose, partial(oapi.held, done))
        return HttpAnswer(200, oapi.answer(oapi.without(done, omitted)))


def with_faults(
    cloud: LocalCloud,
    whose: Whose,
    struck: Sequence[Fault],
    do: Callable[[], HttpAnswer],
    answer: Callable[[Fault], HttpAnswer],
    patience: float = HANG_LIMIT,
) -> HttpAnswer:
    """The answer of a call (`do`) that these faults strike, or that of a fault; a call hangs for `patience` seconds."""
    for fault in struck:
        if fault.delay:
            cloud.pause(fault.delay)
    answering = next((each for each in struck if each.answers), None)
    if answering is None:
        return do()
    if answering.after:
        do()
    if answering.hang:
        cloud.faults.wait_changed(whose, patience)
    if answering.hang or answering.cut:
        return NO_ANSWER
    return answer(answering)


def _action(path: str) -> str:
    for prefix in OAPI_PATHS:
        if path.startswith(prefix):
            return path.removeprefix(prefix).rstrip("/")
    return path


def _of_fault(fault: Fault) -> HttpAnswer:
    if fault.body is not None:
        return HttpAnswer(200, fault.body.encode())
    return _refusal(RefusedError(_fail_of(fault), fault.details), fault)


def _refusal(error: RefusedError, fault: Fault | None = None) -> HttpAnswer:
    """The answer by the table of refusals, or by the fault that caused it."""
    if fault is None or fault.status is None:
        return HttpAnswer(error.fail.value.status, oapi.refusal(error))
    return HttpAnswer(fault.status, oapi.refusal(error, code=fault.code, kind=fault.type))


def _fail_of(fault: Fault) -> Fail:
    if fault.status == 429:
        return Fail.THROTTLED_ACCOUNT
    if fault.status == 503:
        return Fail.THROTTLED
    return Fail.INTERNAL


class Face(Protocol):
    """A port's answers."""

    def answer(self, request: HttpRequest, *, plain: bool) -> HttpAnswer:
        """Answer one request."""
        ...


class WebServer(ThreadingHTTPServer):
    """One listening address; a thread for each connection, TLS handshakes included."""

    daemon_threads = True
    allow_reuse_address = True
    request_queue_size = 128

    def __init__(self, address: tuple[str, int], tls: ssl.SSLContext | None = None) -> None:
        self._tls = tls
        self.api: Face | None = None
        super().__init__(address, _WebHandler)

    @property
    def plain(self) -> bool:
        return self._tls is None

    def finish_request(self, request: Any, client_address: Any) -> None:
        connection: socket.socket = request
        if self._tls is None:
            super().finish_request(connection, client_address)
            return
        connection.settimeout(HANDSHAKE_LIMIT)
        secured = self._tls.wrap_socket(connection, server_side=True)
        try:
            super().finish_request(secured, client_address)
        finally:
            self.shutdown_request(secured)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that goes away or fails the handshake is not an error of ours."""
        log.debug("connection from %s ended badly", client_address, exc_info=True)


class _WebHandler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server_version = "sandbox"
    sys_version = ""
    timeout = IDLE_LIMIT
    disable_nagle_algorithm = True
    server: WebServer

    def do_POST(self) -> None:
        length = self.headers.get("Content-Length", "0")
        if self.headers.get("Transfer-Encoding") or not length.isdecimal() or int(length) > MAX_BODY:
            self.close_connection = True
            self._send(HttpAnswer(413, b'{"error": "a body needs a Content-Length of at most 4 MiB"}'))
            return
        body = self.rfile.read(int(length))
        headers = {name.lower(): value for name, value in self.headers.items()}
        api = self.server.api
        if api is None:
            self._send(HttpAnswer(503, b'{"error": "the sandbox is starting"}'))
            return
        request = HttpRequest(self.command, self.path, headers, body)
        self._send(api.answer(request, plain=self.server.plain))

    do_GET = do_HEAD = do_PUT = do_DELETE = do_POST  # noqa: N815 - the base class asks for these names

    def _send(self, answer: HttpAnswer) -> None:
        if answer is NO_ANSWER:
            self.close_connection = True
            return
        self.send_response_only(answer.status)
        self.send_header("Date", self.date_time_string())
        self.send_header("Content-Type", answer.content_type)
        self.send_header("Content-Length", str(len(answer.body)))
        for name, value in answer.headers:
            self.send_header(name, value)
        if self.close_connection:
            self.send_header("Connection", "close")
        self._headers_buffer: list[bytes]
        self._headers_buffer.append(b"\r\n" + (b"" if self.command == "HEAD" else answer.body))
        self.flush_headers()

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the base class's name
        """Calls are in the call log."""
