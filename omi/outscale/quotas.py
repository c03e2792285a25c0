"""Reads the account's quotas, and finds those that are used up."""

from __future__ import annotations

from pydantic import Field

from omi.outscale.client import Cloud
from omi.outscale.shapes import Shape, listed
from omi.support.errors import OmiError


class CloudQuota(Shape):
    """One quota; a `most` of 0 means no limit (OAPI's reference, schema Quota)."""

    name: str = Field(default="", alias="Name")
    used: int = Field(default=0, alias="UsedValue")
    most: int = Field(default=0, alias="MaxValue")

    @property
    def left(self) -> int | None:
        """How many more there may be; None without a limit."""
        return max(0, self.most - self.used) if self.most else None

    def __str__(self) -> str:
        return f"{self.name} ({self.used} of {self.most})"


class _Kind(Shape):
    """The quotas of one resource, or of the whole account."""

    listed_by = ("ReadQuotas", "QuotaTypes")

    of: str = Field(default="", alias="QuotaType")
    quotas: tuple[CloudQuota, ...] = Field(default=(), alias="Quotas")


def read_quotas(cloud: Cloud) -> list[CloudQuota]:
    """The quotas of the whole account. Raises CredentialsError or CloudError."""
    return [quota for kind in listed(cloud, _Kind) if kind.of == "global" for quota in kind.quotas]


def used_up(cloud: Cloud) -> list[str]:
    """Quotas that leave no room, as `vm_limit (5 of 5)`. None if they can't be read, since they only explain an
    error."""
    try:
        return [str(quota) for quota in read_quotas(cloud) if quota.left == 0]
    except OmiError:
        return []
