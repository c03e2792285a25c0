"""FCU: volumes."""

from __future__ import annotations

from sandbox.cloud import volumes
from sandbox.cloud.context import Cloud
from sandbox.cloud.errors import CloudError, Fail
from sandbox.cloud.filters import Getter, maybe
from sandbox.cloud.model import Account, Volume
from sandbox.cloud.tags import set_tags
from sandbox.fcu.base import by_ids, filtered, operation, required, tag_getters, tag_views, tags_of
from sandbox.fcu.protocol import Json


def attachment_view(volume: Volume) -> Json:
    if volume.link is None:
        return {}
    return {
        "VolumeId": volume.id,
        "InstanceId": volume.link.vm_id,
        "Device": volume.link.device_name,
        "State": volume.link.state,
        "AttachTime": volume.link.linked,
        "DeleteOnTermination": volume.link.delete_on_vm_deletion,
    }


def volume_view(volume: Volume) -> Json:
    return {
        "VolumeId": volume.id,
        "Size": volume.size,
        "SnapshotId": volume.snapshot_id or "",
        "AvailabilityZone": volume.subregion,
        "State": volume.state,
        "CreateTime": volume.created,
        "Attachments": [attachment_view(volume)] if volume.link else [],
        "VolumeType": volume.type,
        "Iops": volume.iops,
        "Tags": tag_views(volume),
    }


FILTERS: dict[str, Getter[Volume]] = {
    "attachment.delete-on-termination": lambda one: maybe(one.link and one.link.delete_on_vm_deletion),
    "attachment.device": lambda one: maybe(one.link and one.link.device_name),
    "attachment.instance-id": lambda one: maybe(one.link and one.link.vm_id),
    "attachment.status": lambda one: maybe(one.link and one.link.state),
    "availability-zone": lambda one: [one.subregion],
    "size": lambda one: [str(one.size)],
    "snapshot-id": lambda one: maybe(one.snapshot_id),
    "status": lambda one: [one.state],
    "volume-id": lambda one: [one.id],
    "volume-type": lambda one: [one.type],
    **tag_getters(),
}


@operation("DescribeVolumes", "VolumeIds", "Filters")
def describe_volumes(cloud: Cloud, caller: Account, parameters: Json) -> Json:
    own = cloud.owned(caller, Volume)
    found = by_ids(parameters.get("VolumeIds"), own, lambda one: one.id, Fail.NO_VOLUME)
    return {"Volumes": [volume_view(each) for each in filtered(parameters, found, FILTERS)]}


@operation(
    "CreateVolume", "AvailabilityZone", "Size", "SnapshotId", "VolumeType", "Iops", "TagSpecifications", "ClientToken"
)
def create_volume(cloud: Cloud, caller: Account, parameters: Json) -> Json:
    volume = volumes.create_volume(
        cloud,
        caller,
        subregion=required(parameters, "AvailabilityZone"),
        size=parameters.get("Size"),
        volume_type=parameters.get("VolumeType"),
        iops=parameters.get("Iops"),
        snapshot_id=parameters.get("SnapshotId") or None,
    )
    tags = tags_of(parameters, "volume")
    if tags:
        set_tags(cloud, caller, [volume.id], tags)
    return volume_view(volume.model_copy(update={"tags": tags}))


@operation("DeleteVolume", "VolumeId")
def delete_volume(cloud: Cloud, caller: Account, parameters: Json) -> Json:
    volumes.delete_volume(cloud, caller, required(parameters, "VolumeId"))
    return {}


@operation("AttachVolume", "VolumeId", "InstanceId", "Device")
def attach_volume(cloud: Cloud, caller: Account, parameters: Json) -> Json:
    volume = volumes.link_volume(
        cloud,
        caller,
        volume_id=required(parameters, "VolumeId"),
        vm_id=required(parameters, "InstanceId"),
        device_name=required(parameters, "Device"),
    )
    return attachment_view(volume)


@operation("DetachVolume", "VolumeId", "InstanceId", "Device", "Force")
def detach_volume(cloud: Cloud, caller: Account, parameters: Json) -> Json:
    volume = cloud.own(caller, Volume, required(parameters, "VolumeId"), Fail.NO_VOLUME)
    wanted = parameters.get("InstanceId")
    if wanted and volume.link is not None and volume.link.vm_id != wanted:
        raise CloudError(Fail.NO_LINK, f"The volume {volume.id} is not attached to {wanted}.")
    return attachment_view(volumes.unlink_volume(cloud, caller, volume.id))
