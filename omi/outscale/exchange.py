"""Sends one HTTP request and reads its whole answer, within limits of bytes and seconds whatever the server does."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from botocore.awsrequest import AWSPreparedRequest
from botocore.exceptions import ConnectionClosedError, HTTPClientError, ReadTimeoutError
from botocore.httpsession import URLLib3Session
from urllib3.exceptions import HTTPError, ProtocolError
from urllib3.exceptions import ReadTimeoutError as SlowError

from omi.outscale.deadline import TooLateError, within
from omi.support.errors import CloudError

LONGEST = 64 * 1024 * 1024
"""Bytes; a page of a thousand images has about 2 MiB."""
_CHUNK = 256 * 1024


@dataclass(frozen=True)
class Reply:
    """A whole answer; the names of its headers are unchanged."""

    status: int
    headers: Mapping[str, str]
    body: bytes


def exchange(session: URLLib3Session, request: AWSPreparedRequest, limit: float) -> Reply:
    """Send the request and read its answer, in `limit` seconds in all.

    Raises botocore's errors, ReadTimeoutError at the limit, and CloudError if the answer is too long.
    """
    try:
        return within(limit, lambda: _exchange(session, request))
    except TooLateError as error:
        raise ReadTimeoutError(endpoint_url=request.url, error=error) from error


def _exchange(session: URLLib3Session, request: AWSPreparedRequest) -> Reply:
    answer = session.send(request)
    return Reply(answer.status_code, dict(answer.headers), _read(answer.raw, request.url))


def _read(raw: Any, url: str) -> bytes:
    body = bytearray()
    try:
        while chunk := raw.read1(_CHUNK):
            body += chunk
            if len(body) > LONGEST:
                raw.close()
                raise CloudError(f"{url}: its answer is longer than {LONGEST // 1024**2} MiB; is this OUTSCALE's API?")
    except SlowError as error:
        raise ReadTimeoutError(endpoint_url=url, error=error) from error
    except ProtocolError as error:
        raise ConnectionClosedError(endpoint_url=url, error=error, request=None) from error
    except HTTPError as error:
        raise HTTPClientError(error=error) from error
    return bytes(body)
