"""The connection to one account of one Region."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping
from functools import cached_property
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar

import boto3
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.config import Config
from botocore.credentials import ReadOnlyCredentials
from botocore.exceptions import BotoCoreError, ClientError
from botocore.httpsession import URLLib3Session
from botocore.utils import get_environ_proxies

from omi.errors import CloudError, CredentialsError
from omi.image import CloudAccess
from omi.outscale.credentials import Credentials, find_credentials
from omi.outscale.faults import one_line, refused_key, translate
from omi.places import expand

if TYPE_CHECKING:
    from mypy_boto3_ec2 import EC2Client

P = ParamSpec("P")
T = TypeVar("T")

_CONNECT, _READ, _TRIES = 10, 60, 6  # seconds, seconds, tries in all
# Standard mode tries again after throttling and 5xx (RequestLimitExceeded is FCU's), never after a 401.
_CONFIG = Config(
    connect_timeout=_CONNECT, read_timeout=_READ, retries={"mode": "standard", "total_max_attempts": _TRIES}
)


class Cloud:
    """FCU by boto3 and OAPI by signed POST, with one account's key; every failure is raised as an OmiError."""

    def __init__(self, access: CloudAccess, credentials: Credentials) -> None:
        self.access = access
        self.credentials = credentials
        self.ec2: EC2Client = boto3.session.Session().client(
            "ec2",
            region_name=access.region,
            endpoint_url=access.fcu,
            aws_access_key_id=credentials.access_key,
            aws_secret_access_key=credentials.secret_key,
            verify=self._authority(),
            config=_CONFIG,
        )

    @classmethod
    def connect(cls, access: CloudAccess, environ: Mapping[str, str] = os.environ) -> Cloud:
        """Find the credentials; nothing is sent yet.

        Raises CredentialsError, or CloudError for an unusable URL or certificate file.
        """
        credentials = find_credentials(access, environ)
        if access.ca_file is not None and not expand(access.ca_file).is_file():
            raise CloudError(
                f"cloud.ca_file: {access.ca_file}: no such file; start the local cloud or correct the path"
            )
        try:
            return cls(access, credentials)
        except (BotoCoreError, ValueError) as error:
            raise CloudError(
                f"{access.fcu}: {one_line(str(error))}; correct cloud.fcu in the stack's config"
            ) from error

    def call(self, operation: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> T:
        """Run one operation of `self.ec2`, translating what it raises."""
        try:
            return operation(*args, **kwargs)
        except (BotoCoreError, ClientError) as error:
            action = getattr(operation, "__name__", "request")
            raise translate(error, action, self.access.fcu, self.access.region, self.credentials.source) from error

    @cached_property
    def account(self) -> str:
        """The numeric account id, by ReadAccounts (there is no STS, and FCU does not tell)."""
        answer = self._post_oapi("ReadAccounts")
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

    def _authority(self) -> str | None:
        return str(expand(self.access.ca_file)) if self.access.ca_file else None

    def _post_oapi(self, action: str) -> dict[str, Any]:
        url = f"{self.access.api.rstrip('/')}/{action}"
        request = AWSRequest("POST", url, headers={"Content-Type": "application/json"}, data=b"{}")
        keys = ReadOnlyCredentials(self.credentials.access_key, self.credentials.secret_key, None)
        SigV4Auth(keys, "osc", self.access.region).add_auth(request)
        verify: Any = self._authority() or os.environ.get("AWS_CA_BUNDLE") or True
        session = URLLib3Session(verify=verify, proxies=get_environ_proxies(url), timeout=_READ)
        try:
            answer = session.send(request.prepare())
            status, body = answer.status_code, answer.content
        except BotoCoreError as error:
            raise translate(error, action, self.access.api, self.access.region, self.credentials.source) from error
        finally:
            session.close()
        return self._read_oapi(action, status, body)

    def _read_oapi(self, action: str, status: int, body: bytes) -> dict[str, Any]:
        try:
            content: Any = json.loads(body)
        except ValueError:
            content = None
        if status == 200 and isinstance(content, dict):
            return content
        errors = content.get("Errors") if isinstance(content, dict) else None
        first = errors[0] if isinstance(errors, list) and errors and isinstance(errors[0], dict) else {}
        reason = " ".join(str(first[key]) for key in ("Type", "Code", "Details") if first.get(key)) or f"HTTP {status}"
        if status == 401:
            raise refused_key(self.access.api, self.access.region, self.credentials.source, reason)
        raise CloudError(f"{action} at {self.access.api}: {one_line(reason)}", str(first.get("Code", "")))
