"""OAPI by signed POST: what FCU can't do or tells one image at a time, without the time boto3 takes to start."""

from __future__ import annotations

import json
import os
import random
import socket
import time
from collections.abc import Iterator, Mapping
from functools import cached_property
from http import HTTPStatus
from typing import Any, NamedTuple

from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import ReadOnlyCredentials
from botocore.exceptions import BotoCoreError, ConnectionClosedError, ReadTimeoutError
from botocore.httpsession import URLLib3Session
from botocore.utils import get_environ_proxies

from omi.errors import CloudError, CredentialsError, OmiError, one_line
from omi.image import CloudAccess
from omi.outscale.credentials import Credentials, find_credentials
from omi.outscale.cures import cure_of
from omi.outscale.exchange import exchange
from omi.outscale.faults import TOLD, denied, is_denied, not_oapi, not_the_api, refused_key, translate
from omi.outscale.pace import Pace
from omi.outscale.reaching import clock_error
from omi.outscale.refused import tried_once
from omi.places import expand
from omi.safe_json import read_json
from omi.transport import check_transport

_TRIES = 4  # in all
FIRST_PAUSE = 1.0
"""Seconds, give or take half, before the second try; twice as long before each further one."""
_BUSY = frozenset({429, 500, 503})
"""What OUTSCALE says to try again after (its API-Retry-Strategy); never a 401, since four of them lock the account."""
_THROTTLED = frozenset({429})
_PAGE = 1000
_PAGES = 1000
_OK = 200
_AT_ONCE: Any = [(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)]  # the session's stubs ask for texts
"""A call's body follows its head without waiting for the other side to confirm that, which takes 40 ms; boto3's clients
ask for it, too."""


class _Answer(NamedTuple):
    status: int
    body: bytes

    @property
    def content(self) -> dict[str, Any] | None:
        """None for a body that is no JSON object."""
        try:
            content: Any = read_json(self.body)
        except ValueError:
            return None
        return content if isinstance(content, dict) else None


class Oapi:
    """Calls of one account; every failure is raised as an OmiError. Any number of threads may call it."""

    def __init__(self, access: CloudAccess, credentials: Credentials) -> None:
        self.access = access
        self.credentials = credentials
        self.pace = Pace.of(access.api, credentials.access_key)

    @classmethod
    def connect(cls, access: CloudAccess, environ: Mapping[str, str] = os.environ) -> Oapi:
        """Find the credentials; nothing is sent yet. Raises CredentialsError, or SettingsError for an unsafe way."""
        check_transport(access, environ)
        return cls(access, find_credentials(access, environ))

    @cached_property
    def account(self) -> str:
        """The numeric account id, by ReadAccounts (there is no STS, and FCU does not tell)."""
        with tried_once(self.access.api, self.credentials):
            answer = self.read("ReadAccounts", {})
        try:
            return str(answer["Accounts"][0]["AccountId"])
        except (KeyError, IndexError, TypeError) as error:
            raise CloudError(f"{self.access.api}: ReadAccounts named no account; is this OUTSCALE's API?") from error

    def require_account(self, account: str, what: str) -> None:
        """Raise CredentialsError unless the key is of `account`, since another account's answers would mislead."""
        if self.account != account:
            raise CredentialsError(
                f"credentials: the key from {self.credentials.source} is of account {self.account}, but {what} "
                f"belongs to account {account}; use a key of that account"
            )

    def read(self, action: str, parameters: Mapping[str, Any]) -> dict[str, Any]:
        """Call an action that changes nothing, so that it may be tried again: the cloud is busy, an answer got lost."""
        return self._content(action, self._read(action, parameters))

    def change(self, action: str, parameters: Mapping[str, Any]) -> dict[str, Any]:
        """Call an action that changes something: tried again only when it was refused before anything was done."""
        return self._content(action, self._change(action, parameters))

    def forward(self, action: str, parameters: Mapping[str, Any]) -> tuple[int, bytes]:
        """Status and body of the answer to another program's call, which is made as `read` or `change` make theirs.

        Raises CloudError where none came.
        """
        call = self._read if action.startswith("Read") else self._change
        answer = call(action, parameters)
        if answer.status == _OK and answer.content is None:
            raise not_the_api(action, self.access.api, "no JSON object")
        return answer.status, answer.body

    def _read(self, action: str, parameters: Mapping[str, Any]) -> _Answer:
        answer: _Answer | BotoCoreError
        for number in range(_TRIES):
            _pause(number)
            try:
                answer = self._post(action, parameters)
                if answer.status not in _BUSY and not (answer.status == _OK and answer.content is None):
                    break
            except (ConnectionClosedError, ReadTimeoutError) as error:
                answer = error
            except BotoCoreError as error:
                raise self._translated(error, action) from error
        if isinstance(answer, BotoCoreError):
            raise self._translated(answer, action) from answer
        return answer

    def _change(self, action: str, parameters: Mapping[str, Any]) -> _Answer:
        try:
            answer = self._post(action, parameters)
            for number in range(1, _TRIES):
                if answer.status not in _THROTTLED:
                    break
                _pause(number)
                answer = self._post(action, parameters)
        except BotoCoreError as error:
            raise self._translated(error, action) from error
        return answer

    def read_all(self, action: str, key: str, filters: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
        """Everything that an action lists under `key`, page by page."""
        parameters: dict[str, Any] = {"Filters": dict(filters), "ResultsPerPage": _PAGE}
        for _ in range(_PAGES):
            answer = self.read(action, parameters)
            items = answer.get(key)
            if not isinstance(items, list):
                raise CloudError(f"{action} at {self.access.api}: its answer has no {key}; is this OUTSCALE's API?")
            yield from items
            token = answer.get("NextPageToken")
            if not token or token == parameters.get("NextPageToken"):
                return
            parameters["NextPageToken"] = token
        raise CloudError(
            f"{action} at {self.access.api}: its list has more than {_PAGES} pages; is this OUTSCALE's API?"
        )

    def _post(self, action: str, parameters: Mapping[str, Any]) -> _Answer:
        url = f"{self.access.api.rstrip('/')}/{action}"
        data = json.dumps(parameters).encode()
        headers = {"Content-Type": "application/json"}
        request = AWSRequest("POST", url, headers=headers, data=data, stream_output=True)
        keys = ReadOnlyCredentials(self.credentials.access_key, self.credentials.secret_key, None)
        self.pace.wait()
        SigV4Auth(keys, "osc", self.access.region).add_auth(request)
        reply = exchange(self._session, request.prepare(), self.access.limits.connect + self.access.limits.answer)
        if reply.status in _THROTTLED:
            self.pace.slow_down()
        if reply.status == HTTPStatus.UNAUTHORIZED and (wrong := clock_error(self.access.api, reply.headers)):
            raise wrong
        return _Answer(reply.status, reply.body)

    def _translated(self, error: BotoCoreError, action: str) -> OmiError:
        return translate(error, action, self.access.api, self.access, self.credentials.source)

    @cached_property
    def _session(self) -> URLLib3Session:
        """Keeps its connections open, so that one handshake serves several calls."""
        verify: Any = authority(self.access) or os.environ.get("AWS_CA_BUNDLE") or True
        limits = self.access.limits
        timeout: Any = (limits.connect, limits.answer)  # its stubs know only one number for both
        proxies = get_environ_proxies(self.access.api)
        return URLLib3Session(verify=verify, proxies=proxies, timeout=timeout, socket_options=_AT_ONCE)

    def _content(self, action: str, answer: _Answer) -> dict[str, Any]:
        content = answer.content
        if answer.status == _OK:
            if content is None:
                raise not_the_api(action, self.access.api, "no JSON object")
            return content
        errors = (content or {}).get("Errors")
        first = errors[0] if isinstance(errors, list) and errors and isinstance(errors[0], dict) else {}
        told = " ".join(str(first[key]) for key in ("Type", "Code", "Details") if first.get(key))
        code, kind = str(first.get("Code", "")), str(first.get("Type", ""))
        if not told and answer.status != HTTPStatus.UNAUTHORIZED:
            raise not_oapi(action, self.access.api, answer.status)
        if answer.status == 401 and is_denied(code):
            raise denied(f"api:{action}", self.access.api, self.credentials.source)
        if answer.status == 401:
            raise refused_key(self.access.api, self.access.region, self.credentials.source, told or "401")
        cure = cure_of(code, kind)
        raise CloudError(f"{action} at {self.access.api}: {one_line(told, TOLD)}" + (f"; {cure}" if cure else ""), code)


def _pause(tries: int) -> None:
    """Wait before another try: not before the first, then longer each time."""
    if tries:
        time.sleep(FIRST_PAUSE * 2 ** (tries - 1) * random.uniform(0.5, 1.5))  # noqa: S311 - only spreads the tries


def authority(access: CloudAccess) -> str | None:
    """The PEM file of the certificate authority to trust, None for the system's."""
    return str(expand(access.ca_file)) if access.ca_file else None
