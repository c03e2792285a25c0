"""OAPI: the caller's only access key, which works until it expires."""

from __future__ import annotations

import datetime as dt

from sandbox.cloud.context import LocalCloud
from sandbox.cloud.errors import Fail, RefusedError
from sandbox.cloud.model import Account
from sandbox.oapi.base import Json, action, listing, without_none


def _date(value: dt.datetime) -> str:
    """A time in the form of these calls, which differs from OAPI's usual one."""
    return f"{value:%Y-%m-%dT%H:%M:%S}.{value.microsecond // 1000:03d}+0000"


def _view(cloud: LocalCloud, caller: Account) -> Json:
    key = cloud.keys.key_of(caller.profile or "").access_key
    ends = cloud.keys.ends.get(key)
    made = _date(caller.created)
    return without_none(
        {
            "AccessKeyId": key,
            "CreationDate": made,
            "ExpirationDate": None if ends is None else _date(ends),
            "LastModificationDate": made,
            "State": "ACTIVE",
        }
    )


@listing("AccessKeys", "AccessKeyIds States", tagged=False, pages=False)
def read_access_keys(cloud: LocalCloud, caller: Account) -> list[Json]:
    return [_view(cloud, caller)]


@action("UpdateAccessKey")
def update_access_key(
    cloud: LocalCloud, caller: Account, *, access_key_id: str, expiration_date: str | None = None
) -> Json:
    """Set the time when the key expires; without a date it never does."""
    if access_key_id != cloud.keys.key_of(caller.profile or "").access_key:
        raise RefusedError(Fail.BAD_PARAMETER, f"The access key '{access_key_id}' does not exist.")
    cloud.keys.ends.pop(access_key_id, None)
    if expiration_date is not None:
        cloud.keys.ends[access_key_id] = _parsed(expiration_date)
    return {"AccessKey": _view(cloud, caller)}


def _parsed(value: str) -> dt.datetime:
    try:
        when = dt.datetime.fromisoformat(value)
    except ValueError:
        raise RefusedError(Fail.BAD_VALUE, f"The ExpirationDate '{value}' is not a date.") from None
    return when.astimezone(dt.UTC) if when.tzinfo else when.replace(tzinfo=dt.UTC)
