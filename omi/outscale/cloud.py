"""The connection to one account of one Region."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar, cast

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError
from botocore.parsers import ResponseParserError

from omi.errors import CloudError, one_line
from omi.image import CloudAccess, Limits
from omi.outscale.credentials import Credentials, find_credentials, lone_session
from omi.outscale.faults import not_the_api, translate
from omi.outscale.oapi import Oapi, authority
from omi.transport import check_transport

if TYPE_CHECKING:
    from mypy_boto3_ec2 import EC2Client

P = ParamSpec("P")
T = TypeVar("T")

_TRIES = 6  # in all


_UNREADABLE = (ValueError, TypeError, AttributeError, LookupError, RecursionError)
"""What botocore's parser of answers raises besides its own error where an answer is of an unexpected shape."""


class _Answer(dict[str, Any]):
    """An answer that says itself what it lacks."""

    def __init__(self, content: dict[str, Any], call: str) -> None:
        super().__init__(content)
        self._call = call

    def __missing__(self, key: str) -> Any:
        raise CloudError(f"{self._call}: its answer has no {key}; is this OUTSCALE's API?")


class Cloud:
    """FCU by boto3 and OAPI by signed POST, with one account's key; every failure is raised as an OmiError."""

    def __init__(self, access: CloudAccess, credentials: Credentials) -> None:
        self.access = access
        self.credentials = credentials
        self.oapi = Oapi(access, credentials)
        self.ec2: EC2Client = boto3.session.Session(botocore_session=lone_session()).client(
            "ec2",
            region_name=access.region,
            endpoint_url=access.fcu,
            aws_access_key_id=credentials.access_key,
            aws_secret_access_key=credentials.secret_key,
            verify=authority(access),
            # Standard mode tries again after throttling and 5xx (RequestLimitExceeded is FCU's), never after a 401.
            config=Config(
                connect_timeout=access.limits.connect,
                read_timeout=access.limits.answer,
                retries={"mode": "standard", "total_max_attempts": _TRIES},
            ),
        )
        events = self.ec2.meta.events
        events.register("before-send.ec2", self._wait_for_turn)
        events.register("response-received.ec2", self._heed_refusal)

    def _wait_for_turn(self, **_: Any) -> None:
        """Before each try: nothing is returned, which would be taken for the answer."""
        self.oapi.pace.wait()

    def _heed_refusal(self, parsed_response: Any = None, **_: Any) -> None:
        if (parsed_response or {}).get("Error", {}).get("Code") == "RequestLimitExceeded":
            self.oapi.pace.slow_down()

    @classmethod
    def connect(cls, access: CloudAccess, environ: Mapping[str, str] = os.environ) -> Cloud:
        """Find the credentials; nothing is sent yet.

        Raises CredentialsError, or SettingsError for a way to the cloud that isn't safe.
        """
        check_transport(access, environ)
        credentials = find_credentials(access, environ)
        try:
            return cls(access, credentials)
        except (BotoCoreError, ValueError) as error:
            raise CloudError(
                f"{access.fcu}: {one_line(str(error))}; correct cloud.fcu in the stack's config"
            ) from error

    @property
    def limits(self) -> Limits:
        """How long things may take."""
        return self.access.limits

    def call(self, operation: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> T:
        """Run one operation of `self.ec2`, translating what it raises.

        An answer that isn't FCU's, and looking for something in one that isn't there, is a CloudError, too.
        """
        action = getattr(operation, "__name__", "request")
        try:
            answer = operation(*args, **kwargs)
        except (BotoCoreError, ClientError) as error:
            raise translate(error, action, self.access.fcu, self.access, self.credentials.source) from error
        except (ResponseParserError, *_UNREADABLE) as error:
            raise CloudError(
                f"{action} at {self.access.fcu}: its answer can't be read ({type(error).__name__}); "
                "is this OUTSCALE's API?"
            ) from error
        if not isinstance(answer, dict):
            return answer
        # botocore makes an empty answer of any XML, and every answer of FCU has its request's id
        if not answer.get("ResponseMetadata", {}).get("RequestId"):
            raise not_the_api(action, self.access.fcu, "not FCU's")
        return cast("T", _Answer(answer, f"{action} at {self.access.fcu}"))

    @property
    def account(self) -> str:
        """The numeric account id, by ReadAccounts (there is no STS, and FCU does not tell)."""
        return self.oapi.account

    def require_account(self, account: str, what: str) -> None:
        """Raise CredentialsError unless the key is of `account`, since another account's answers would mislead."""
        self.oapi.require_account(account, what)
