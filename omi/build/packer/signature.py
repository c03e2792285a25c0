"""Checks the signature of a request: AWS4 as plugin 1.0.2 signs, OSC4 as plugin 1.6 does.

botocore signs requests, but checks none. Both forms are the same computation with different words (OUTSCALE's guide,
"Signature of API Requests").
"""

from __future__ import annotations

import datetime as dt
import hashlib
import hmac
import re
from collections.abc import Mapping

from omi.outscale.credentials import Credentials

_DATE_HEADER = {"AWS4": "x-amz-date", "OSC4": "x-osc-date"}
_AUTHORIZATION = re.compile(
    r"(?P<form>AWS4|OSC4)-HMAC-SHA256\s+Credential=(?P<key>[^/,\s]{1,128})/(?P<scope>[^,\s]{1,256}),\s*"
    r"SignedHeaders=(?P<headers>[a-z0-9;-]{1,512}),\s*Signature=(?P<signature>[0-9a-f]{64})"
)
_SKEW = 300.0
"""Seconds that a signature is valid; signer and checker share a clock."""


def is_signed(path: str, headers: Mapping[str, str], body: bytes, keys: Credentials, now: dt.datetime) -> bool:
    """Whether a POST was signed with these keys just now, over its host, date, path and body.

    `headers` has lower-case names; `path` is plain, without a query.
    """
    match = _AUTHORIZATION.fullmatch(headers.get("authorization", "").strip())
    if match is None:
        return False
    form, scope, names = match["form"], match["scope"].split("/"), match["headers"].split(";")
    date = _DATE_HEADER[form]
    stamp = headers.get(date, "")
    expected = _sign(
        form + keys.secret_key,
        scope,
        f"{form}-HMAC-SHA256\n{stamp}\n{match['scope']}\n{_hash(_canonical(path, headers, names, body).encode())}",
    )
    return (
        {"host", date} <= set(names) <= headers.keys()
        and scope[-1] == f"{form.lower()}_request"
        and stamp.startswith(scope[0])
        and _is_fresh(stamp, now)
        and hmac.compare_digest(match["key"], keys.access_key)
        and hmac.compare_digest(match["signature"], expected)
    )


def _canonical(path: str, headers: Mapping[str, str], names: list[str], body: bytes) -> str:
    lines = "".join(f"{name}:{' '.join(headers.get(name, '').split())}\n" for name in names)
    return f"POST\n{path}\n\n{lines}\n{';'.join(names)}\n{_hash(body)}"


def _hash(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def _sign(secret: str, scope: list[str], text: str) -> str:
    key = secret.encode()
    for part in (*scope, text):
        key = hmac.new(key, part.encode(), hashlib.sha256).digest()
    return key.hex()


def _is_fresh(stamp: str, now: dt.datetime) -> bool:
    try:
        signed = dt.datetime.strptime(stamp, "%Y%m%dT%H%M%SZ").replace(tzinfo=dt.UTC)
    except ValueError:
        return False
    return abs((now - signed).total_seconds()) <= _SKEW
