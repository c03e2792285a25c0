"""Limits of an account: how much of each kind it may have, and its requests a second."""

from __future__ import annotations

import threading
import time
from collections import Counter, defaultdict, deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from sandbox.cloud.errors import Fail, RefusedError
from sandbox.cloud.model import Account, Image, Keypair, PublicIp, Resource, SecurityGroup, Snapshot, Vm, Volume


@dataclass(frozen=True)
class QuotaRule:
    """A quota of ReadQuotas: its name and collection there, the counted resource, its default, and its refusal."""

    name: str
    title: str
    collection: str
    kind: type[Resource]
    usual: int
    fail: Fail


QUOTAS = (
    QuotaRule("vm_limit", "VM", "Compute", Vm, 100, Fail.VM_QUOTA),
    QuotaRule("image_limit", "OMI", "Compute", Image, 1000, Fail.OTHER_QUOTA),
    QuotaRule("keypair_limit", "Keypair", "Compute", Keypair, 100, Fail.OTHER_QUOTA),
    QuotaRule("volume_limit", "Volume", "Storage", Volume, 1000, Fail.VOLUME_QUOTA),
    QuotaRule("volume_size_limit", "Volume size", "Storage", Volume, 100000, Fail.VOLUME_SIZE_QUOTA),
    QuotaRule("snapshot_limit", "Snapshot", "Storage", Snapshot, 1000, Fail.SNAPSHOT_QUOTA),
    QuotaRule("sg_limit", "Security group", "Network", SecurityGroup, 100, Fail.GROUP_QUOTA),
    QuotaRule("eip_limit", "Public IP", "Network", PublicIp, 50, Fail.NO_ADDRESS_LEFT),
)
NAMES = frozenset(each.name for each in QUOTAS)

Owned = Callable[[Account, type[Resource]], list[Resource]]


class Quotas:
    """The quotas of every account; `values` has the changed ones by name."""

    def __init__(self, owned: Owned) -> None:
        self.values: dict[str, int] = {}
        self._owned = owned

    def value(self, quota: QuotaRule) -> int:
        """The limit; 0 is none (OAPI's reference, schema Quota)."""
        return self.values.get(quota.name, quota.usual)

    def used(self, caller: Account, quota: QuotaRule) -> int:
        """The used number, or GiB; a terminated VM doesn't count."""
        if quota.fail is Fail.VOLUME_SIZE_QUOTA:
            return sum(each.size for each in self._owned(caller, Volume) if isinstance(each, Volume))
        return sum(not isinstance(each, Vm) or each.alive for each in self._owned(caller, quota.kind))

    @contextmanager
    def kept(self, caller: Account) -> Iterator[None]:
        """Refuse a call that exceeds a quota: raises RefusedError at its end, before anything is on disk."""
        before = {quota: self.used(caller, quota) for quota in QUOTAS if self.values.get(quota.name)}
        yield
        for quota, count in before.items():
            if self.used(caller, quota) > max(count, self.value(quota)):
                raise RefusedError(quota.fail, f"The quota {quota.name} of {self.value(quota)} is reached.")


class RequestLimit:
    """The requests a second that each account may send; None for no limit."""

    def __init__(self, each_second: float | None, clock: Callable[[], float] = time.monotonic) -> None:
        self.each_second, self.clock = each_second, clock
        self.refused: Counter[str] = Counter()
        self._guard = threading.Lock()
        self._latest: defaultdict[str, deque[float]] = defaultdict(deque)

    def admit(self, caller: Account) -> None:
        """Count a request; raises RefusedError (429) for one too many within a second. A refused one is not counted."""
        if self.each_second is None:
            return
        with self._guard:
            now, latest = self.clock(), self._latest[caller.id]
            while latest and latest[0] <= now - 1.0:
                latest.popleft()
            if len(latest) >= self.each_second:
                self.refused[caller.profile or caller.id] += 1
                raise RefusedError(Fail.THROTTLED_ACCOUNT, "The account sends too many requests, try again later.")
            latest.append(now)
