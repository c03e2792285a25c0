"""When an access key expires, for `doctor` and `health`."""

from __future__ import annotations

from datetime import datetime

from omi.cli.findings import Doubt, NotChecked
from omi.outscale.access_key import read_expiry
from omi.outscale.client import Cloud
from omi.support import clock
from omi.support.errors import CredentialsError


def key_expiry(cloud: Cloud) -> datetime | None:
    """Its date; None without one. Raises NotChecked with the cure where the key may not ask."""
    try:
        return read_expiry(cloud)
    except CredentialsError as error:
        raise NotChecked(str(error)) from error


def expiry_words(expires: datetime | None, warn_days: int) -> str:
    """When it expires. Raises Doubt if fewer days than `warn_days` are left, CredentialsError if it has expired."""
    if expires is None:
        return "the access key doesn't expire"
    left, day = expires - clock.now(), f"{expires:%Y-%m-%d %H:%M} UTC"
    cure = "make a new one in Cockpit, and give it where this one is"
    if left.total_seconds() <= 0:
        raise CredentialsError(f"the access key expired on {day}: {cure}")
    words = f"the access key expires in {left.days} days, on {day}"
    if left.days < warn_days:
        raise Doubt(f"{words}: {cure}")
    return words
