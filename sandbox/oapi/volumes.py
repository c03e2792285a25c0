"""OAPI: volumes."""

from __future__ import annotations

from sandbox.cloud import vmdisks, volumes
from sandbox.cloud.context import LocalCloud
from sandbox.cloud.devices import check_device_name, check_volume
from sandbox.cloud.errors import Fail, RefusedError
from sandbox.cloud.model import Account, Vm, Volume, VolumeLink, now
from sandbox.oapi.base import Json, action, date, listing, tag_views, without_none
from sandbox.oapi.snapshots import usable_snapshot

MAX_VOLUMES_PER_VM = 40


def volume_view(volume: Volume) -> Json:
    """A volume as OAPI shows it (recorded field by field)."""
    return without_none(
        {
            "ClientToken": volume.client_token,
            "CreationDate": date(volume.created),
            "Iops": volume.iops,
            "LinkedVolumes": [_link_view(volume, volume.link)] if volume.link else [],
            "Size": volume.size,
            "SnapshotId": volume.snapshot_id,
            "State": volume.state,
            "SubregionName": volume.subregion,
            "Tags": tag_views(volume),
            "VolumeId": volume.id,
            "VolumeType": volume.type,
        }
    )


def _link_view(volume: Volume, link: VolumeLink) -> Json:
    return {
        "DeleteOnVmDeletion": link.delete_on_vm_deletion,
        "DeviceName": link.device_name,
        "State": link.state,
        "VmId": link.vm_id,
        "VolumeId": volume.id,
    }


@listing(
    "Volumes",
    "ClientTokens CreationDates SnapshotIds SubregionNames VolumeIds VolumeTypes",
    LinkVolumeDeleteOnVmDeletion="LinkedVolumes.DeleteOnVmDeletion",
    LinkVolumeDeviceNames="LinkedVolumes.DeviceName",
    LinkVolumeLinkStates="LinkedVolumes.State",
    LinkVolumeVmIds="LinkedVolumes.VmId",
    VolumeSizes="Size",
    VolumeStates="State",
)
def read_volumes(cloud: LocalCloud, caller: Account) -> list[Json]:
    return [volume_view(each) for each in cloud.owned(caller, Volume)]


@action("CreateVolume")
def create_volume(
    cloud: LocalCloud,
    caller: Account,
    *,
    client_token: str | None = None,
    iops: int | None = None,
    size: int | None = None,
    snapshot_id: str | None = None,
    subregion_name: str,
    volume_type: str | None = None,
) -> Json:
    """Make a volume, empty or from a snapshot that the caller may use."""
    if made := cloud.made_before(caller, Volume, client_token):
        return {"Volume": volume_view(made[0])}
    cloud.check_subregion(caller, subregion_name)
    least = usable_snapshot(cloud, caller, snapshot_id).size if snapshot_id else None
    if size is None and least is None:
        raise RefusedError(Fail.MISSING_PARAMETER, "The parameter 'Size' is required without a snapshot.")
    gib, kind, ops = check_volume(size, volume_type, iops, least)
    volume = cloud.make(
        Volume,
        caller,
        size=gib,
        type=kind,
        iops=ops,
        snapshot_id=snapshot_id or None,
        subregion=subregion_name,
        state="creating",
        client_token=client_token or None,
    )
    cloud.later(f"make {volume.id}", lambda: volumes.make_volume(cloud, volume.id))
    return {"Volume": volume_view(volume)}


@action("DeleteVolume")
def delete_volume(cloud: LocalCloud, caller: Account, *, volume_id: str) -> None:
    """Delete a volume that no VM holds."""
    volume = cloud.own(caller, Volume, volume_id, Fail.NO_VOLUME)
    if volume.state not in ("available", "error"):
        raise RefusedError(Fail.VOLUME_STATE, f"The volume {volume_id} is {volume.state}, not available.")
    cloud.store.put(volume.model_copy(update={"state": "deleting"}))
    cloud.later(f"delete {volume_id}", lambda: volumes.remove_volume(cloud, volume_id))


@action("LinkVolume")
def link_volume(cloud: LocalCloud, caller: Account, *, device_name: str, vm_id: str, volume_id: str) -> None:
    """Attach an available volume to a running or stopped VM of the same Subregion."""
    vm = cloud.own(caller, Vm, vm_id, Fail.NO_VM)
    volume = cloud.own(caller, Volume, volume_id, Fail.NO_VOLUME)
    name = check_device_name(device_name, root=vm.root_device)
    if vm.state not in ("running", "stopped"):
        raise RefusedError(Fail.STATE, f"The VM {vm_id} is {vm.state}, not running or stopped.")
    if volume.state != "available":
        raise RefusedError(Fail.VOLUME_STATE, f"The volume {volume_id} is {volume.state}, not available.")
    if volume.subregion != vm.subregion:
        raise RefusedError(Fail.SUBREGION_MISMATCH, f"The volume is in {volume.subregion}, the VM in {vm.subregion}.")
    linked = vmdisks.volumes_of(cloud, vm_id)
    if any(each.link and each.link.device_name == name for each in linked):
        raise RefusedError(Fail.DEVICE_IN_USE, f"The VM {vm_id} already has a volume at {name}.")
    if len(linked) >= MAX_VOLUMES_PER_VM:
        raise RefusedError(Fail.BAD_COUNT, f"A VM takes at most {MAX_VOLUMES_PER_VM} volumes.")
    link = VolumeLink(vm_id=vm_id, device_name=name, delete_on_vm_deletion=False, state="attaching", linked=now())
    cloud.store.put(volume.model_copy(update={"state": "in-use", "link": link}))
    cloud.later(f"link {volume_id}", lambda: volumes.attach(cloud, volume_id, vm_id))


@action("UnlinkVolume")
def unlink_volume(cloud: LocalCloud, caller: Account, *, force_unlink: bool | None = None, volume_id: str) -> None:
    """Detach a volume; a root volume only while its VM is stopped."""
    volume = cloud.own(caller, Volume, volume_id, Fail.NO_VOLUME)
    if volume.link is None:
        raise RefusedError(Fail.STATE, f"The volume {volume_id} is not linked to a VM.")
    vm = cloud.store.get(Vm, volume.link.vm_id)
    if vm and volume.link.device_name == vm.root_device and vm.state != "stopped":
        raise RefusedError(Fail.ROOT_LINKED, f"A root volume leaves its VM only when that is stopped, not {vm.state}.")
    link = volume.link.model_copy(update={"state": "detaching"})
    cloud.store.put(volume.model_copy(update={"link": link}))
    cloud.later(f"unlink {volume_id}", lambda: volumes.detach(cloud, volume_id))
