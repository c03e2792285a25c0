"""Reading an answer's body, which has an end in bytes and in seconds whatever the server does."""

from __future__ import annotations

import time
from typing import Any

from botocore.exceptions import ConnectionClosedError, HTTPClientError, ReadTimeoutError
from urllib3.exceptions import HTTPError, ProtocolError
from urllib3.exceptions import ReadTimeoutError as SlowError

from omi.errors import CloudError

LONGEST = 64 * 1024 * 1024
"""Bytes; a page of a thousand images has about 2 MiB."""
LIMIT = 300.0
"""Seconds from its first byte to its last."""
_CHUNK = 256 * 1024


def read_body(raw: Any, url: str) -> bytes:
    """All of what urllib3 has not read yet of an answer.

    Raises CloudError beyond the limits, and botocore's own errors, as it does where it reads a body itself.
    """
    end, body = time.monotonic() + LIMIT, bytearray()
    try:
        while chunk := raw.read1(_CHUNK):
            body += chunk
            if len(body) > LONGEST or time.monotonic() > end:
                raw.close()
                raise CloudError(f"{url}: its answer is longer than {LONGEST // 1024**2} MiB or {LIMIT:g} s; try again")
    except SlowError as error:
        raise ReadTimeoutError(endpoint_url=url, error=error) from error
    except ProtocolError as error:
        raise ConnectionClosedError(endpoint_url=url, error=error, request=None) from error
    except HTTPError as error:
        raise HTTPClientError(error=error) from error
    return bytes(body)
