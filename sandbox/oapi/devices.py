"""Changes of rights as OAPI requests write them."""

from __future__ import annotations

from sandbox.cloud.model import Permissions
from sandbox.cloud.request import Part


class AccountsPart(Part):
    """One direction of a change of rights."""

    account_ids: list[str] | None = None
    global_permission: bool | None = None

    def permissions(self) -> Permissions:
        return Permissions(public=bool(self.global_permission), account_ids=tuple(self.account_ids or ()))


class PermissionsPart(Part):
    """A change of rights; an empty direction counts as absent."""

    additions: AccountsPart | None = None
    removals: AccountsPart | None = None

    def added(self) -> Permissions:
        return (self.additions or AccountsPart()).permissions()

    def removed(self) -> Permissions:
        return (self.removals or AccountsPart()).permissions()
