"""Quotas of the account: what a refusal for want of one means, and which are used up."""

from __future__ import annotations

from omi.errors import OmiError
from omi.outscale.cloud import Cloud


def used_up(cloud: Cloud) -> list[str]:
    """Quotas that leave no room, as `vm_limit (5 of 5)`; none where they can't be read, since it is only told."""
    found: list[str] = []
    try:
        for kind in cloud.call("ReadQuotas", {}).get("QuotaTypes") or []:
            for quota in kind.get("Quotas") or []:
                used, most = quota.get("UsedValue"), quota.get("MaxValue")
                if isinstance(used, int) and isinstance(most, int) and used >= most:
                    found.append(f"{quota.get('Name')} ({used} of {most})")
    except (OmiError, AttributeError, TypeError):
        return []
    return found
