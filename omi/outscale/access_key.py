"""The date on which the account's access key expires."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated

from pydantic import AfterValidator, Field

from omi.outscale.client import Cloud
from omi.outscale.shapes import Shape, parsed
from omi.support.errors import CloudError


def _in_utc(when: datetime) -> datetime:
    return when.astimezone(UTC) if when.tzinfo else when.replace(tzinfo=UTC)


class _AccessKey(Shape):
    key_id: str = Field(alias="AccessKeyId")
    expires: Annotated[datetime, AfterValidator(_in_utc)] | None = Field(default=None, alias="ExpirationDate")


def read_expiry(cloud: Cloud) -> datetime | None:
    """The time when the key of `cloud` expires; None if it doesn't. Raises CredentialsError or CloudError."""
    action, own = "ReadAccessKeys", cloud.credentials.access_key
    answer = cloud.call(action, {"Filters": {"AccessKeyIds": [own]}})["AccessKeys"]
    keys = [parsed(_AccessKey, each, action, cloud) for each in (answer if isinstance(answer, list) else [])]
    found = next((key for key in keys if key.key_id == own), None)
    if found is None:
        raise CloudError(f"{action} at {cloud.access.api}: it doesn't list the key that asks; is this OUTSCALE's API?")
    return found.expires
