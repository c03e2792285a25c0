"""S3's API at its own port: who asks is checked here, by header or pre-signed URL, and what is asked for is moto's."""

from __future__ import annotations

import logging
import time
from collections.abc import Mapping
from urllib.parse import parse_qs, urlsplit
from xml.sax.saxutils import escape

from botocore.auth import S3SigV4QueryAuth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from sandbox.auth import LONGEST_URL, AccessKey, HttpRequest, Verifier
from sandbox.cloud.context import LocalCloud
from sandbox.cloud.errors import Fail, RefusedError
from sandbox.cloud.faults import Fault, Whose
from sandbox.cloud.model import Account
from sandbox.control import Control
from sandbox.oos.store import Objects
from sandbox.web import HANG_LIMIT, HttpAnswer, with_faults

log = logging.getLogger("sandbox")

_OF_BUCKET = {"PUT": "CreateBucket", "DELETE": "DeleteBucket", "HEAD": "ListBucket", "GET": "ListBucket"}
_OF_OBJECT = {"PUT": "PutObject", "DELETE": "DeleteObject", "HEAD": "GetObject", "GET": "GetObject"}
_CODES = {
    Fail.AUTHENTICATION: (403, "SignatureDoesNotMatch"),
    Fail.LOCKED: (403, "AccessDenied"),
    Fail.EXPIRED: (403, "AccessDenied"),
    Fail.DENIED: (403, "AccessDenied"),
    Fail.THROTTLED: (503, "SlowDown"),
    Fail.THROTTLED_ACCOUNT: (503, "SlowDown"),
}
_CODES_OF_FAULTS = {429: "SlowDown", 503: "SlowDown"}
"""Codes of faults that name none; any other status gives InternalError."""
_KEPT = ("etag", "last-modified", "content-range", "accept-ranges", "location")


class Oos:
    """Answers every request of the object store's port."""

    def __init__(
        self, cloud: LocalCloud, objects: Objects, verifier: Verifier, accounts: Mapping[str, Account], control: Control
    ) -> None:
        self._cloud, self._objects, self._verifier = cloud, objects, verifier
        self._accounts, self._control = accounts, control

    def answer(self, request: HttpRequest, *, plain: bool) -> HttpAnswer:
        """Answer one request; it is in the log of calls as `oos`, without its query, which may be a signature."""
        del plain
        return self._answer(request, HANG_LIMIT)

    def _answer(self, request: HttpRequest, patience: float) -> HttpAnswer:
        """`patience`: seconds that a request which is to hang stays open."""
        action, key, started = action_of(request), None, time.monotonic()
        try:
            presigned = "X-Amz-Signature" in parse_qs(request.query)
            key = self._verifier.verify_presigned(request) if presigned else self._verifier.verify(request)
            answer = self._run(action, request, key, patience)
        except RefusedError as error:
            status, code = _CODES.get(error.fail, (500, "InternalError"))
            answer = _refusal(status, code, error.details)
        except Exception:
            log.exception("oos %s failed", action)
            answer = _refusal(500, "InternalError", "An internal error; see the sandbox's server.log.")
        profile = key.profile if key else None
        self._control.calls.add("oos", action, profile, answer.status, started, {"path": request.path})
        return answer

    def _run(self, action: str, request: HttpRequest, key: AccessKey, patience: float) -> HttpAnswer:
        caller = self._accounts[key.profile]
        self._control.users.require(key.profile, "oos", action)
        whose = Whose(caller.profile, caller.region)
        struck = self._cloud.faults.for_call(action, "oos", whose)
        return with_faults(self._cloud, whose, struck, lambda: self._done(request, caller), _of_fault, patience)

    def _done(self, request: HttpRequest, caller: Account) -> HttpAnswer:
        found = self._objects.request(
            caller.id, request.method, request.path, request.query, request.headers, request.body
        )
        headers = tuple((name, value) for name, value in found.headers.items() if name in _KEPT)
        return HttpAnswer(found.status, found.body, found.headers.get("content-type", ""), headers)

    def owns(self, account_id: str, bucket: str) -> bool:
        """Whether the account has a bucket of this name."""
        return self._objects.owns(account_id, bucket)

    def put(self, account_id: str, bucket: str, key: str, content: bytes) -> bool:
        """Write an object; False where that fails, since the bucket has gone, say."""
        return self._objects.put(account_id, bucket, key, content)

    def presign(self, caller: Account, bucket: str, key: str) -> str:
        """A URL of an object for whoever has it, by the account's own key."""
        own = self._verifier.key_of(caller.profile or "")
        request = AWSRequest("GET", f"{self._cloud.addresses.oos_endpoint}/{bucket}/{key}")
        keys = Credentials(own.access_key, own.secret_key)
        S3SigV4QueryAuth(keys, "s3", own.region, expires=LONGEST_URL).add_auth(request)
        return str(request.url)

    def fetch(self, url: str) -> bytes:
        """The object that the cloud itself reads by a pre-signed URL of this store; raises RefusedError."""
        parts = urlsplit(url)
        if f"{parts.scheme}://{parts.netloc}" != self._cloud.addresses.oos_endpoint:
            raise RefusedError(Fail.BAD_LOCATION, "The sandbox reads from its own object store only.")
        target = f"{parts.path}?{parts.query}" if parts.query else parts.path
        # it doesn't wait for a store that hangs, since all of the cloud would wait for it meanwhile
        answer = self._answer(HttpRequest("GET", target, {"host": parts.netloc}, b""), 0)
        if answer.status != 200:
            raise RefusedError(Fail.NO_OBJECT, f"The object at {parts.path} can't be read (HTTP {answer.status}).")
        return answer.body


def action_of(request: HttpRequest) -> str:
    """The name that S3 and its policies give it."""
    bucket, _, key = request.path.lstrip("/").partition("/")
    if not bucket:
        return "ListAllMyBuckets"
    if request.method == "POST" and "delete" in parse_qs(request.query, keep_blank_values=True):
        return "DeleteObject"
    return (_OF_OBJECT if key else _OF_BUCKET).get(request.method, request.method)


def _of_fault(fault: Fault) -> HttpAnswer:
    if fault.body is not None:
        return HttpAnswer(200, fault.body.encode(), "application/xml")
    status = fault.status or 500
    return _refusal(status, fault.code or _CODES_OF_FAULTS.get(status, "InternalError"), fault.details)


def _refusal(status: int, code: str, message: str) -> HttpAnswer:
    text = f"<Error><Code>{escape(code)}</Code><Message>{escape(message)}</Message></Error>"
    return HttpAnswer(status, f'<?xml version="1.0" encoding="UTF-8"?>\n{text}'.encode(), "application/xml")
