"""The connection to one account of one Region: OUTSCALE's API (OAPI) by signed POST."""

from __future__ import annotations

import json
import os
import random
import socket
import time
from collections.abc import Callable, Iterator, Mapping
from functools import cached_property
from http import HTTPStatus
from typing import Any, NamedTuple, TypeVar

from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import ReadOnlyCredentials
from botocore.exceptions import (
    BotoCoreError,
    ConnectionClosedError,
    ConnectTimeoutError,
    EndpointConnectionError,
    ReadTimeoutError,
)
from botocore.httpsession import URLLib3Session
from botocore.utils import get_environ_proxies

from omi.config.transport import check_transport
from omi.outscale.credentials import Credentials, find_credentials
from omi.outscale.exchange import exchange
from omi.outscale.faults import not_the_api, refusal, translate
from omi.outscale.pace import Pace
from omi.outscale.reaching import clock_error, seconds_ahead
from omi.outscale.refused import tried_once
from omi.state.image import CloudAccess, Limits
from omi.support.errors import CloudError, CredentialsError
from omi.support.places import expand
from omi.support.safe_json import read_json

T = TypeVar("T")

_TRIES = 4  # in all
FIRST_PAUSE = 1.0
"""Seconds, give or take half, before the second try; each further wait is twice as long."""
_THROTTLED = frozenset({429})
_BUSY = frozenset({429, 500, 502, 503, 504})
"""Statuses to try again after: OUTSCALE's own (API-Retry-Strategy) and those of a proxy. Never a 401, since
four of them lock the account."""
_REPEATABLE = frozenset({"CreateTags", "StopVms", "UpdateImage", "UpdateSnapshot"})
"""Changes that may be repeated without harm, besides all Delete actions."""
_LOST = (ConnectionClosedError, ReadTimeoutError)
_NOT_SENT = (ConnectTimeoutError, EndpointConnectionError)
_PAGE = 1000
_PAGES = 1000
_OK = 200
_AT_ONCE: Any = [(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)]  # the session's stubs ask for texts
"""Send a call's body at once, without waiting 40 ms for the other side to confirm its head."""


class _ApiAnswer(NamedTuple):
    status: int
    body: bytes

    @property
    def content(self) -> dict[str, Any] | None:
        """None for a body that is not a JSON object."""
        try:
            content: Any = read_json(self.body)
        except ValueError:
            return None
        return content if isinstance(content, dict) else None


class _Content(dict[str, Any]):
    """A good answer's content; a missing key is a CloudError."""

    def __init__(self, content: dict[str, Any], call: str) -> None:
        super().__init__(content)
        self._call = call

    def __missing__(self, key: str) -> Any:
        raise CloudError(f"{self._call}: its answer has no {key}; is this OUTSCALE's API?")


class Cloud:
    """The client of one account. Every failure is raised as an OmiError. Any number of threads may call it."""

    def __init__(self, access: CloudAccess, credentials: Credentials) -> None:
        self.access = access
        self.credentials = credentials
        self.pace = Pace.of(access.api, credentials.access_key)
        self.ahead: float | None = None
        """Seconds that this machine's clock is ahead of the cloud's, by the last answer with a date."""
        self._answered = False

    @classmethod
    def connect(cls, access: CloudAccess, environ: Mapping[str, str] = os.environ) -> Cloud:
        """Find the credentials. If `access` names an account, ask whose they are; else nothing is sent yet.

        Raises CredentialsError, also for a key of another account, CloudError, or SettingsError for an unsafe
        connection.
        """
        check_transport(access, environ)
        cloud = cls(access, find_credentials(access, environ))
        if access.account is not None:
            cloud.require_account(access.account, f"by the setting `account` Region {access.region}")
        return cloud

    @property
    def limits(self) -> Limits:
        """How long things may take."""
        return self.access.limits

    @cached_property
    def account(self) -> str:
        """The numeric account id, by ReadAccounts."""
        with tried_once(self.access.api, self.credentials):
            answer = self.call("ReadAccounts")
        try:
            return str(answer["Accounts"][0]["AccountId"])
        except (KeyError, IndexError, TypeError) as error:
            raise CloudError(f"{self.access.api}: ReadAccounts named no account; is this OUTSCALE's API?") from error

    def require_account(self, account: str, what: str) -> None:
        """Raise CredentialsError unless the key belongs to `account`, since another account's answers would mislead."""
        if self.account != account:
            raise CredentialsError(
                f"credentials: the key from {self.credentials.source} is of account {self.account}, but {what} "
                f"belongs to account {account}; use a key of that account"
            )

    def call(self, action: str, parameters: Mapping[str, Any] = {}) -> dict[str, Any]:
        """Call an action; returns its answer.

        If the cloud is busy or an answer is lost, an action that may be repeated without harm is called again. Any
        other is called again only if it was refused before it did anything.
        """
        return self._content(action, self._send(action, parameters))

    def create(
        self,
        action: str,
        parameters: Mapping[str, Any],
        read: Callable[[Mapping[str, Any]], T],
        find: Callable[[], T | None],
    ) -> T:
        """Make one thing by an action, and read it from the answer. If the cloud is busy or the answer is lost, `find`
        searches for the thing before another try.
        """
        unsure, number = False, 0
        while True:
            try:
                return read(self._content(action, self._send(action, parameters, tries=1)))
            except CloudError as error:
                unsure, number = unsure or not error.code, number + 1
                if not unsure:
                    raise
                if (found := find()) is not None:
                    return found
                if number == _TRIES:
                    raise
            _pause(number)

    def read_all(self, action: str, key: str, filters: Mapping[str, list[str]] = {}) -> Iterator[dict[str, Any]]:
        """Everything that an action lists under `key`, page by page; CloudError where the list has no end.

        A filter without values matches nothing here; the API would ignore it.
        """
        if not all(filters.values()):
            return
        parameters: dict[str, Any] = {"Filters": dict(filters), "ResultsPerPage": _PAGE}
        seen: set[str] = set()
        while True:
            answer = self.call(action, parameters)
            if not isinstance(answer[key], list):
                raise CloudError(f"{action} at {self.access.api}: its {key} are not a list; is this OUTSCALE's API?")
            yield from answer[key]
            token = answer.get("NextPageToken")
            if not token:
                return
            if not isinstance(token, str) or token in seen or len(seen) == _PAGES:
                raise CloudError(f"{action} at {self.access.api}: its list has no end; is this OUTSCALE's API?")
            seen.add(token)
            parameters["NextPageToken"] = token

    def forward(self, action: str, parameters: Mapping[str, Any]) -> tuple[int, bytes]:
        """Make another program's call as `call` does; returns the answer's status and body.

        Raises CloudError if no answer came.
        """
        answer = self._send(action, parameters)
        if answer.status == _OK and answer.content is None:
            raise not_the_api(action, self.access.api, "not a JSON object")
        return answer.status, answer.body

    def _send(self, action: str, parameters: Mapping[str, Any], tries: int = _TRIES) -> _ApiAnswer:
        repeatable = _is_repeatable(action, parameters)
        for number in range(1, tries + 1):
            answer = self._try(action, parameters)
            if isinstance(answer, BotoCoreError):
                again = (repeatable and isinstance(answer, _LOST)) or (self._answered and isinstance(answer, _NOT_SENT))
            else:
                again = answer.status in (_BUSY if repeatable else _THROTTLED) or (
                    repeatable and answer.status == _OK and answer.content is None
                )
            if not again:
                break
            if number < tries:
                _pause(number)
        if isinstance(answer, BotoCoreError):
            raise translate(answer, action, self.access.api, self.access) from answer
        return answer

    def _try(self, action: str, parameters: Mapping[str, Any]) -> _ApiAnswer | BotoCoreError:
        try:
            answer = self._post(action, parameters)
        except BotoCoreError as error:
            return error
        self._answered = True
        return answer

    def _post(self, action: str, parameters: Mapping[str, Any]) -> _ApiAnswer:
        url = f"{self.access.api.rstrip('/')}/{action}"
        data = json.dumps(parameters).encode()
        headers = {"Content-Type": "application/json"}
        request = AWSRequest("POST", url, headers=headers, data=data, stream_output=True)
        keys = ReadOnlyCredentials(self.credentials.access_key, self.credentials.secret_key, None)
        self.pace.wait()
        SigV4Auth(keys, "osc", self.access.region).add_auth(request)
        reply = exchange(self._session, request.prepare(), self.access.limits.connect + self.access.limits.answer)
        if (ahead := seconds_ahead(reply.headers)) is not None:
            self.ahead = ahead
        if reply.status in _THROTTLED:
            self.pace.slow_down()
        if reply.status == HTTPStatus.UNAUTHORIZED and (wrong := clock_error(self.access.api, reply.headers)):
            raise wrong
        return _ApiAnswer(reply.status, reply.body)

    @cached_property
    def _session(self) -> URLLib3Session:
        """The HTTP session. It keeps connections open, so that one handshake serves several calls."""
        verify: Any = authority(self.access) or os.environ.get("AWS_CA_BUNDLE") or True
        limits = self.access.limits
        timeout: Any = (limits.connect, limits.answer)  # its stubs know only one number for both
        proxies = get_environ_proxies(self.access.api)
        return URLLib3Session(verify=verify, proxies=proxies, timeout=timeout, socket_options=_AT_ONCE)

    def _content(self, action: str, answer: _ApiAnswer) -> dict[str, Any]:
        content = answer.content
        if answer.status != _OK:
            raise refusal(answer.status, content, action, self.access, self.credentials.source)
        if content is None:
            raise not_the_api(action, self.access.api, "not a JSON object")
        return _Content(content, f"{action} at {self.access.api}")


def _is_repeatable(action: str, parameters: Mapping[str, Any]) -> bool:
    if action.startswith(("Read", "Delete")) or action in _REPEATABLE or parameters.get("DryRun") is True:
        return True
    return action == "CreateVms" and bool(parameters.get("ClientToken"))


def _pause(tries: int) -> None:
    """Wait before the next try, longer each time."""
    time.sleep(FIRST_PAUSE * 2 ** (tries - 1) * random.uniform(0.5, 1.5))  # noqa: S311 - only spreads the tries


def authority(access: CloudAccess) -> str | None:
    """The PEM file of the certificate authority to trust, None for the system's."""
    return str(expand(access.ca_file)) if access.ca_file else None
