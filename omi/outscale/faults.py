"""Turns failures of the cloud and the network into the project's one-line errors."""

from __future__ import annotations

from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError, ConnectionError, HTTPClientError  # noqa: A004

from omi.outscale.cures import cure_of
from omi.outscale.reaching import unreached
from omi.outscale.refused import RefusedKeyError
from omi.state.image import CloudAccess
from omi.support.errors import CloudError, CredentialsError, OmiError, one_line

_REFUSED_KEY = frozenset({"SignatureDoesNotMatch", "InvalidClientTokenId", "InvalidAccessKeyId", "IncompleteSignature"})
_REFUSED_ACTION = frozenset({"AccessDenied", "AccessDeniedException"})
QUOTED = 300
"""Characters of a server's words that an error quotes."""


def refused_key(url: str, region: str, source: str, reason: str) -> RefusedKeyError:
    """The error for a 401 from OAPI or OOS; never try again with the same key."""
    return RefusedKeyError(
        f"credentials: {url} refused the access key from {source} ({one_line(reason, 80)}); "
        f"give an access key of an account of Region {region} that hasn't expired "
        "(four wrong tries lock the account for a minute)"
    )


_DENIED_CODES = frozenset({"4", "5", "7"})
"""OAPI's AccessDenied for other reasons than a wrong key (by its table of errors): ErrorUnauthorizedOperation,
ErrorNotAuthorized, ErrorUserNotAllowed. All are 401, like a wrong key."""
_ELSEWHERE = frozenset({301, 302, 303, 307, 308, 404, 405})
"""Statuses of a server that has something else at this URL."""
POLICY = "docs/eim-policy.json"
"""The actions that a key must be allowed to call."""
COPY_POLICY = "docs/eim-policy-copy.json"
"""The policy that the home Region's key also needs if images are copied from there."""
_RIGHTS = {"ListBuckets": "ListAllMyBuckets", "ListObjectsV2": "ListBucket"}
"""S3's operations that have another name in policies (S3's policy actions)."""


def is_denied(code: str) -> bool:
    """Whether OAPI's error code means a right key without the right to do this."""
    return code in _DENIED_CODES


def denied(action: str, url: str, source: str) -> CredentialsError:
    """The error for a right key whose EIM policy doesn't allow `action` (as policies name it: `api:CreateVms`)."""
    copies = action.startswith("s3:") or "ImageExportTask" in action
    policy = f"{COPY_POLICY} holds what a copy needs" if copies else f"{POLICY} holds all that a build needs"
    return CredentialsError(
        f"credentials: the access key from {source} may not call {action} at {url}; "
        f"allow it in the EIM user's policy: {policy}"
    )


def translate(error: BotoCoreError, action: str, url: str, access: CloudAccess) -> OmiError:
    """The project's error for botocore's, on a call to `url`, one of the endpoints of `access`."""
    if isinstance(error, HTTPClientError | ConnectionError):
        return unreached(error, action, url, access)
    return CloudError(f"{url}: {action} failed: {one_line(str(error), QUOTED)}")


def first_error(content: object) -> tuple[str, str, str]:
    """Code, type and details of the first error in an answer of OAPI; empty where it has none."""
    errors = content.get("Errors") if isinstance(content, dict) else None
    first = errors[0] if isinstance(errors, list) and errors and isinstance(errors[0], dict) else {}
    code, kind, details = (str(first.get(key) or "") for key in ("Code", "Type", "Details"))
    return code, kind, details


def refusal(status: int, content: Mapping[str, Any] | None, action: str, access: CloudAccess, source: str) -> OmiError:
    """The error for an answer of OAPI that isn't 200. It has a code only if the cloud's refusal is final."""
    code, kind, details = first_error(content)
    told = " ".join(filter(None, (kind, code, details)))
    if status == HTTPStatus.UNAUTHORIZED:
        if is_denied(code):
            return denied(f"api:{action}", access.api, source)
        return refused_key(access.api, access.region, source, told or "401")
    if not told:
        return not_oapi(action, access.api, status)
    cure = cure_of(code, kind)
    return CloudError(
        f"{action} at {access.api}: {one_line(told, QUOTED)}" + (f"; {cure}" if cure else ""),
        "" if _may_pass(status) else code or kind,
    )


def refusal_of_store(error: ClientError, action: str, url: str, access: CloudAccess, source: str) -> OmiError:
    """The error for a refusal of OOS."""
    answer = error.response.get("Error", {})
    code, message = str(answer.get("Code", "")), one_line(str(answer.get("Message", "")), QUOTED)
    status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
    if code in _REFUSED_ACTION:
        return denied(f"s3:{_RIGHTS.get(error.operation_name, error.operation_name)}", url, source)
    if code in _REFUSED_KEY or status == HTTPStatus.UNAUTHORIZED:
        return refused_key(url, access.region, source, code or "401")
    return CloudError(f"{action} at {url}: {message or 'no reason given'} ({code})", "" if _may_pass(status) else code)


def _may_pass(status: int) -> bool:
    return status == HTTPStatus.TOO_MANY_REQUESTS or status >= HTTPStatus.INTERNAL_SERVER_ERROR


def not_the_api(action: str, url: str, what: str) -> CloudError:
    """The error for a good status with a body that the API can't have sent."""
    return CloudError(f"{action} at {url}: its answer is {what}; is there a proxy or a page of maintenance? Run again")


def not_oapi(action: str, url: str, status: int) -> CloudError:
    """The error for a bad status with a body that isn't an error of the API."""
    where = f"{action} at {url}: HTTP {status} without an error of the API"
    if status in _ELSEWHERE:
        return CloudError(f"{where}; the endpoint is wrong: correct cloud.api (https://api.REGION.outscale.com/api/v1)")
    if status == HTTPStatus.PROXY_AUTHENTICATION_REQUIRED:
        return CloudError(f"{where}; the proxy wants a login: put it into HTTPS_PROXY")
    return CloudError(f"{where}; is there a proxy or a page of maintenance? Run again")
