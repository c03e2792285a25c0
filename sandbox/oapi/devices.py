"""Block device mappings and rights as OAPI requests write them."""

from __future__ import annotations

from dataclasses import replace

from sandbox.cloud.devices import DeviceRequest
from sandbox.cloud.model import Permissions
from sandbox.oapi.base import Part


class BsuPart(Part):
    """A `Bsu` of a block device mapping."""

    delete_on_vm_deletion: bool | None = None
    iops: int | None = None
    snapshot_id: str | None = None
    volume_size: int | None = None
    volume_type: str | None = None


class DevicePart(Part):
    """One block device mapping of an image."""

    device_name: str | None = None
    virtual_device_name: str | None = None
    bsu: BsuPart | None = None

    def request(self) -> DeviceRequest:
        bsu = self.bsu or BsuPart()
        return DeviceRequest(
            device_name=self.device_name,
            snapshot_id=bsu.snapshot_id or None,
            size=bsu.volume_size or None,
            type=bsu.volume_type or None,
            iops=bsu.iops or None,
            delete_on_vm_deletion=bsu.delete_on_vm_deletion,
        )


class VmDevicePart(DevicePart):
    """One block device mapping of a VM that is to be created."""

    no_device: str | None = None

    def request(self) -> DeviceRequest:
        return replace(super().request(), no_device=self.no_device is not None)


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
