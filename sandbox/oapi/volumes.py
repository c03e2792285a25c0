"""OAPI: volumes."""

from __future__ import annotations

from sandbox.cloud import volumes
from sandbox.cloud.context import LocalCloud
from sandbox.cloud.filters import Getter, maybe, text
from sandbox.cloud.model import Account, Volume, VolumeLink
from sandbox.cloud.request import Request
from sandbox.oapi.base import Json, ReadRequest, action, date, filtered, paged, tag_getters, tag_views, without_none


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


FILTERS: dict[str, Getter[Volume]] = {
    "ClientTokens": lambda one: maybe(one.client_token),
    "CreationDates": lambda one: [date(one.created)],
    "LinkVolumeDeleteOnVmDeletion": lambda one: maybe(one.link and one.link.delete_on_vm_deletion),
    "LinkVolumeDeviceNames": lambda one: maybe(one.link and one.link.device_name),
    "LinkVolumeLinkDates": lambda one: maybe(one.link and date(one.link.linked)),
    "LinkVolumeLinkStates": lambda one: maybe(one.link and one.link.state),
    "LinkVolumeVmIds": lambda one: maybe(one.link and one.link.vm_id),
    "SnapshotIds": lambda one: maybe(one.snapshot_id),
    "SubregionNames": lambda one: [one.subregion],
    "VolumeIds": lambda one: [one.id],
    "VolumeSizes": lambda one: [text(one.size)],
    "VolumeStates": lambda one: [one.state],
    "VolumeTypes": lambda one: [one.type],
    **tag_getters(),
}


@action("ReadVolumes", ReadRequest)
def read_volumes(cloud: LocalCloud, caller: Account, request: ReadRequest) -> Json:
    found = filtered(request, cloud.owned(caller, Volume), FILTERS)
    return paged(request, "Volumes", [volume_view(each) for each in found])


class CreateVolumeRequest(Request):
    client_token: str | None = None
    iops: int | None = None
    size: int | None = None
    snapshot_id: str | None = None
    subregion_name: str
    volume_type: str | None = None


@action("CreateVolume", CreateVolumeRequest)
def create_volume(cloud: LocalCloud, caller: Account, request: CreateVolumeRequest) -> Json:
    if made := cloud.made_before(caller, Volume, request.client_token):
        return {"Volume": volume_view(made[0])}
    volume = volumes.create_volume(
        cloud,
        caller,
        subregion=request.subregion_name,
        size=request.size,
        volume_type=request.volume_type,
        iops=request.iops,
        snapshot_id=request.snapshot_id or None,
    )
    volume = cloud.store.put(volume.model_copy(update={"client_token": request.client_token or None}))
    return {"Volume": volume_view(volume)}


class VolumeRequest(Request):
    volume_id: str


@action("DeleteVolume", VolumeRequest)
def delete_volume(cloud: LocalCloud, caller: Account, request: VolumeRequest) -> Json:
    volumes.delete_volume(cloud, caller, request.volume_id)
    return {}


class LinkVolumeRequest(Request):
    device_name: str
    vm_id: str
    volume_id: str


@action("LinkVolume", LinkVolumeRequest)
def link_volume(cloud: LocalCloud, caller: Account, request: LinkVolumeRequest) -> Json:
    volumes.link_volume(
        cloud, caller, volume_id=request.volume_id, vm_id=request.vm_id, device_name=request.device_name
    )
    return {}


class UnlinkVolumeRequest(Request):
    force_unlink: bool | None = None
    volume_id: str


@action("UnlinkVolume", UnlinkVolumeRequest)
def unlink_volume(cloud: LocalCloud, caller: Account, request: UnlinkVolumeRequest) -> Json:
    volumes.unlink_volume(cloud, caller, request.volume_id)
    return {}
