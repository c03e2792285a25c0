"""Request signatures: AWS4-HMAC-SHA256 (boto3, the Go SDK 1) and OSC4-HMAC-SHA256 (OUTSCALE's own tools).

Both forms are the same computation with different words (docs.outscale.com, "Signature of API Requests").
"""

from __future__ import annotations

import datetime as dt
import hashlib
import hmac
import re
import secrets
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from urllib.parse import parse_qsl, quote, urlsplit

from sandbox.cloud.errors import Fail, RefusedError

WRONG_BEFORE_LOCK = 4
DATE_SKEW = 900.0
"""Seconds that a signature's date may be off."""
UNSIGNED = "UNSIGNED-PAYLOAD"
LONGEST_URL = 7 * 24 * 3600
"""Seconds that a pre-signed URL may be valid (OUTSCALE's guide, Copying an OMI Across Regions)."""
_FORMS = {
    "AWS4-HMAC-SHA256": ("AWS4", "aws4_request", "x-amz-date"),
    "OSC4-HMAC-SHA256": ("OSC4", "osc4_request", "x-osc-date"),
}
_AUTHORIZATION = re.compile(
    r"(?P<algorithm>(?:AWS|OSC)4-HMAC-SHA256)\s+Credential=(?P<credential>[^,\s]+),\s*"
    r"SignedHeaders=(?P<headers>[^,\s]+),\s*Signature=(?P<signature>[0-9a-f]{64})"
)


@dataclass(frozen=True)
class AccessKey:
    """An access key of an account and the Region that its signatures must name."""

    access_key: str
    secret_key: str
    profile: str
    region: str


@dataclass(frozen=True)
class HttpRequest:
    """One request as it was received; header names are lower case."""

    method: str
    target: str
    headers: Mapping[str, str]
    body: bytes

    @property
    def path(self) -> str:
        return urlsplit(self.target).path

    @property
    def query(self) -> str:
        return urlsplit(self.target).query


class Verifier:
    """Checks signatures and locks a key for a while after four wrong ones in a row."""

    def __init__(
        self, keys: Mapping[str, AccessKey], *, lockout: float, clock: Callable[[], float] = time.time
    ) -> None:
        """`lockout` is in seconds."""
        self._keys = keys
        self._lockout = lockout
        self._clock = clock
        self.ends: dict[str, dt.datetime] = {}
        """The expiry of access keys, by their ids; other keys don't expire."""
        self._guard = threading.Lock()
        self._wrong: dict[str, int] = {}
        self._locked_until: dict[str, float] = {}

    def key_of(self, profile: str) -> AccessKey:
        """The key of an account."""
        return next(key for key in self._keys.values() if key.profile == profile)

    def verify(self, request: HttpRequest) -> AccessKey:
        """The key that signed `request`; RefusedError (HTTP 401) if no known key did."""
        match = _AUTHORIZATION.fullmatch(request.headers.get("authorization", "").strip())
        if match is None:
            raise RefusedError(Fail.AUTHENTICATION, "The request carries no AWS4 or OSC4 signature.")
        access_key = match["credential"].partition("/")[0]
        with self._guard:
            if self._locked_until.get(access_key, 0.0) > self._clock():
                raise RefusedError(Fail.LOCKED, "Too many failed attempts; the access key is locked for a minute.")
        try:
            key = self._check(request, match, access_key)
        except RefusedError:
            self._count_wrong(access_key)
            raise
        with self._guard:
            self._wrong.pop(access_key, None)
        return key

    def _count_wrong(self, access_key: str) -> None:
        with self._guard:
            wrong = self._wrong.get(access_key, 0) + 1
            self._wrong[access_key] = wrong % WRONG_BEFORE_LOCK
            if wrong >= WRONG_BEFORE_LOCK:
                self._locked_until[access_key] = self._clock() + self._lockout

    def _check(self, request: HttpRequest, match: re.Match[str], access_key: str) -> AccessKey:
        word, terminator, date_header = _FORMS[match["algorithm"]]
        scope = match["credential"].split("/")[1:]
        key = self._keys.get(access_key)
        if key is None or len(scope) != 4 or scope[3] != terminator:
            raise RefusedError(Fail.AUTHENTICATION, "The access key is unknown.")
        day, region, service, _ = scope
        # The Go SDK 1 writes the Region eu-west-2 whatever its client asks for; it is known by its service name.
        if region != key.region and service != "oapi":
            raise RefusedError(Fail.AUTHENTICATION, f"The account has no access to the Region {region}.")
        stamp = request.headers.get(date_header, "")
        self._check_date(stamp, day)
        names = match["headers"].split(";")
        if not {"host", date_header} <= set(names):
            raise RefusedError(Fail.AUTHENTICATION, f"The signature must cover host and {date_header}.")
        for seen in _as_seen(request):
            expected = sign(
                word + key.secret_key,
                [day, region, service, terminator],
                f"{match['algorithm']}\n{stamp}\n{'/'.join(scope)}\n{_canonical_hash(seen, names, service)}",
            )
            if secrets.compare_digest(expected, match["signature"]):
                self._check_end(key)
                return key
        raise RefusedError(Fail.AUTHENTICATION, "The signature does not match.")

    def verify_presigned(self, request: HttpRequest) -> AccessKey:
        """The key that signed a URL (SigV4 in its query), while the URL is valid: at most seven days, as on
        OUTSCALE."""
        given = dict(parse_qsl(request.query, keep_blank_values=True))
        signature = given.pop("X-Amz-Signature", "")
        access_key, *scope = given.get("X-Amz-Credential", "").split("/")
        key, stamp, names = (
            self._keys.get(access_key),
            given.get("X-Amz-Date", ""),
            given.get("X-Amz-SignedHeaders", ""),
        )
        if key is None or len(scope) != 4 or scope[2:] != ["s3", "aws4_request"] or scope[1] != key.region:
            raise RefusedError(Fail.AUTHENTICATION, "The URL names no known access key of this Region.")
        headers = "".join(f"{name}:{request.headers.get(name, '').strip()}\n" for name in names.split(";"))
        parts = (request.method, quote(request.path, safe="/-_.~"), _query(given.items()), headers, names, UNSIGNED)
        canonical = hashlib.sha256("\n".join(parts).encode()).hexdigest()
        text = f"AWS4-HMAC-SHA256\n{stamp}\n{'/'.join(scope)}\n{canonical}"
        if not secrets.compare_digest(sign("AWS4" + key.secret_key, scope, text), signature):
            raise RefusedError(Fail.AUTHENTICATION, "The signature does not match.")
        try:
            begins = dt.datetime.strptime(stamp, "%Y%m%dT%H%M%SZ").replace(tzinfo=dt.UTC).timestamp()
            lasts = int(given.get("X-Amz-Expires", ""))
        except ValueError:
            raise RefusedError(Fail.AUTHENTICATION, "The URL names no time.") from None
        if not 0 < lasts <= LONGEST_URL or self._clock() > begins + lasts:
            raise RefusedError(Fail.EXPIRED, "Request has expired.")
        return key

    def _check_end(self, key: AccessKey) -> None:
        ends = self.ends.get(key.access_key)
        if ends is not None and ends.timestamp() <= self._clock():
            raise RefusedError(Fail.AUTHENTICATION, "The access key has expired.")

    def _check_date(self, stamp: str, day: str) -> None:
        try:
            signed_at = dt.datetime.strptime(stamp, "%Y%m%dT%H%M%SZ").replace(tzinfo=dt.UTC)
        except ValueError:
            raise RefusedError(Fail.AUTHENTICATION, "The request carries no signature date.") from None
        too_far = abs(signed_at.timestamp() - self._clock()) > DATE_SKEW
        if too_far or not stamp.startswith(day):
            raise RefusedError(Fail.AUTHENTICATION, "The signature has expired or is not yet valid.")


def _as_seen(request: HttpRequest) -> Iterator[HttpRequest]:
    """The request as received, and with its host without the port: osc-sdk-python signs that, as a gateway behind a
    proxy sees it.
    """
    yield request
    host = request.headers.get("host", "")
    yield replace(request, headers={**request.headers, "host": re.sub(r":\d+$", "", host)})


def sign(secret: str, scope: list[str], text: str) -> str:
    """The hexadecimal signature of `text` under a key derived from `secret` and the parts of the scope."""
    derived = secret.encode()
    for part in scope:
        derived = hmac.new(derived, part.encode(), hashlib.sha256).digest()
    return hmac.new(derived, text.encode(), hashlib.sha256).hexdigest()


def _query(given: Iterable[tuple[str, str]]) -> str:
    return "&".join(f"{quote(name, safe='-_.~')}={quote(value, safe='-_.~')}" for name, value in sorted(given))


def _canonical_hash(request: HttpRequest, names: list[str], service: str) -> str:
    body_hash = hashlib.sha256(request.body).hexdigest()
    if service == "s3" and request.headers.get("x-amz-content-sha256") == UNSIGNED:
        body_hash = UNSIGNED  # TLS has it safe, so S3's clients save the time
    if request.headers.get("x-amz-content-sha256", body_hash) != body_hash:
        raise RefusedError(Fail.AUTHENTICATION, "The content hash does not match the content.")
    if any(name not in request.headers for name in names):
        raise RefusedError(Fail.AUTHENTICATION, "A signed header is missing from the request.")
    headers = "".join(f"{name}:{' '.join(request.headers[name].split())}\n" for name in names)
    query = _query(parse_qsl(request.query, keep_blank_values=True))
    path = quote(request.path or "/", safe="/-_.~")
    canonical = "\n".join((request.method, path, query, headers, ";".join(names), body_hash))
    return hashlib.sha256(canonical.encode()).hexdigest()
