"""FCU: snapshots."""

from __future__ import annotations

from sandbox.cloud import snapshots
from sandbox.cloud.context import Cloud
from sandbox.cloud.errors import CloudError, Fail
from sandbox.cloud.filters import Getter, maybe
from sandbox.cloud.model import Account, Permissions, Snapshot
from sandbox.cloud.seeds import alias_of
from sandbox.cloud.tags import set_tags
from sandbox.fcu.base import by_ids, filtered, operation, required, tag_getters, tag_views, tags_of
from sandbox.fcu.images import permissions_of
from sandbox.fcu.protocol import Json

_STATES = {"in-queue": "pending"}
"""EC2 has no in-queue."""


def snapshot_view(snapshot: Snapshot) -> Json:
    return {
        "SnapshotId": snapshot.id,
        "VolumeId": snapshot.volume_id or "",
        "State": _STATES.get(snapshot.state, snapshot.state),
        "StartTime": snapshot.created,
        "Progress": f"{snapshot.progress}%",
        "OwnerId": snapshot.account_id,
        "OwnerAlias": alias_of(snapshot.account_id),
        "VolumeSize": snapshot.size,
        "Description": snapshot.description,
        "Encrypted": False,
        "Tags": tag_views(snapshot),
    }


FILTERS: dict[str, Getter[Snapshot]] = {
    "description": lambda one: [one.description],
    "owner-alias": lambda one: maybe(alias_of(one.account_id)),
    "owner-id": lambda one: [one.account_id],
    "progress": lambda one: [f"{one.progress}%"],
    "snapshot-id": lambda one: [one.id],
    "status": lambda one: [_STATES.get(one.state, one.state)],
    "volume-id": lambda one: maybe(one.volume_id),
    "volume-size": lambda one: [str(one.size)],
    **tag_getters(),
}


@operation("DescribeSnapshots", "SnapshotIds", "OwnerIds", "RestorableByUserIds", "Filters")
def describe_snapshots(cloud: Cloud, caller: Account, parameters: Json) -> Json:
    seen = [each for each in cloud.store.all(Snapshot) if snapshots.visible(caller, each)]
    found = by_ids(parameters.get("SnapshotIds"), seen, lambda one: one.id, Fail.NO_SNAPSHOT)
    owners = {caller.id if each == "self" else each for each in parameters.get("OwnerIds", [])}
    if owners:
        found = [each for each in found if {each.account_id, alias_of(each.account_id)} & owners]
    users = set(parameters.get("RestorableByUserIds", []))
    if users:
        found = [
            each
            for each in found
            if (each.permissions.public and "all" in users) or users & set(each.permissions.account_ids)
        ]
    return {"Snapshots": [snapshot_view(each) for each in filtered(parameters, found, FILTERS)]}


@operation("CreateSnapshot", "VolumeId", "Description", "TagSpecifications")
def create_snapshot(cloud: Cloud, caller: Account, parameters: Json) -> Json:
    snapshot = snapshots.create_snapshot(
        cloud, caller, volume_id=required(parameters, "VolumeId"), description=parameters.get("Description", "")
    )
    tags = tags_of(parameters, "snapshot")
    if tags:
        set_tags(cloud, caller, [snapshot.id], tags)
    return snapshot_view(snapshot)


# PresignedUrl and DestinationRegion: boto3 adds them by itself.
@operation("CopySnapshot", "SourceSnapshotId", "SourceRegion", "Description", "PresignedUrl", "DestinationRegion")
def copy_snapshot(cloud: Cloud, caller: Account, parameters: Json) -> Json:
    if required(parameters, "SourceRegion") != caller.region:
        raise CloudError(Fail.BAD_VALUE, f"A snapshot is copied within its Region only: {caller.region}.")
    snapshot = snapshots.copy_snapshot(
        cloud,
        caller,
        source_id=required(parameters, "SourceSnapshotId"),
        description=parameters.get("Description", ""),
    )
    return {"SnapshotId": snapshot.id}


@operation("DeleteSnapshot", "SnapshotId")
def delete_snapshot(cloud: Cloud, caller: Account, parameters: Json) -> Json:
    snapshots.delete_snapshot(cloud, caller, required(parameters, "SnapshotId"))
    return {}


@operation("DescribeSnapshotAttribute", "SnapshotId", "Attribute")
def describe_snapshot_attribute(cloud: Cloud, caller: Account, parameters: Json) -> Json:
    snapshot = cloud.own(caller, Snapshot, required(parameters, "SnapshotId"), Fail.NO_SNAPSHOT)
    if required(parameters, "Attribute") != "createVolumePermission":
        raise CloudError(Fail.BAD_VALUE, f"The attribute '{parameters['Attribute']}' is invalid.")
    everyone = [{"Group": "all"}] if snapshot.permissions.public else []
    rights = everyone + [{"UserId": each} for each in snapshot.permissions.account_ids]
    return {"SnapshotId": snapshot.id, "CreateVolumePermissions": rights}


@operation(
    "ModifySnapshotAttribute",
    "SnapshotId",
    "Attribute",
    "CreateVolumePermission",
    "GroupNames",
    "OperationType",
    "UserIds",
)
def modify_snapshot_attribute(cloud: Cloud, caller: Account, parameters: Json) -> Json:
    change = parameters.get("CreateVolumePermission", {})
    add, remove = permissions_of(change.get("Add", [])), permissions_of(change.get("Remove", []))
    listed = Permissions(
        public="all" in parameters.get("GroupNames", []), account_ids=tuple(parameters.get("UserIds", []))
    )
    if listed != Permissions():
        add, remove = (listed, remove) if parameters.get("OperationType") == "add" else (add, listed)
    snapshots.update_permissions(cloud, caller, required(parameters, "SnapshotId"), add=add, remove=remove)
    return {}
