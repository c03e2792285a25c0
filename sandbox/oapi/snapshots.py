"""OAPI: snapshots."""

from __future__ import annotations

import datetime as dt

from sandbox.cloud.context import LocalCloud
from sandbox.cloud.errors import Fail, RefusedError
from sandbox.cloud.ids import check_id
from sandbox.cloud.model import Account, Image, Snapshot, Volume
from sandbox.cloud.seeds import alias_of
from sandbox.cloud.snapshots import remove_snapshot, start_snapshot
from sandbox.oapi.base import FILTERS, Json, action, date, mode_of, paged, tag_views, without_none
from sandbox.oapi.filters import BY_TAG, filtered, paths
from sandbox.oapi.request import PermissionsPart, ReadRequest, Request

MODES = {
    "volume_id": frozenset[str](),
    "source_snapshot_id": frozenset({"source_region_name"}),
    "file_location": frozenset({"snapshot_size"}),
}
"""The source of a snapshot -> the parameters that belong to it alone."""


def snapshot_view(snapshot: Snapshot) -> Json:
    """A snapshot as OAPI shows it (recorded field by field)."""
    return without_none(
        {
            "AccountAlias": alias_of(snapshot.account_id),
            "AccountId": snapshot.account_id,
            "ClientToken": snapshot.client_token,
            "CreationDate": date(snapshot.created),
            "Description": snapshot.description,
            "PermissionsToCreateVolume": {
                "AccountIds": list(snapshot.permissions.account_ids),
                "GlobalPermission": snapshot.permissions.public,
            },
            "Progress": snapshot.progress,
            "SnapshotId": snapshot.id,
            "State": snapshot.state,
            "Tags": tag_views(snapshot),
            "VolumeId": snapshot.volume_id,
            "VolumeSize": snapshot.size,
        }
    )


FILTERS["Snapshots"] = paths(
    "AccountIds ClientTokens Descriptions SnapshotIds States VolumeIds VolumeSizes",
    AccountAliases="AccountAlias",
    PermissionsToCreateVolumeAccountIds="PermissionsToCreateVolume.AccountIds",
    PermissionsToCreateVolumeGlobalPermission="PermissionsToCreateVolume.GlobalPermission",
    Progresses="Progress",
    **BY_TAG,
)


@action("ReadSnapshots", ReadRequest)
def read_snapshots(cloud: LocalCloud, caller: Account, request: ReadRequest) -> Json:
    filters = dict(request.filters or {})
    earliest, latest = _date(filters.pop("FromCreationDate", None)), _date(filters.pop("ToCreationDate", None))
    seen = [
        snapshot_view(each)
        for each in cloud.store.all(Snapshot)
        if each.visible_to(caller)
        and (earliest is None or each.created >= earliest)
        and (latest is None or each.created <= latest)
    ]
    rest = request.model_copy(update={"filters": filters})
    return paged(request, "Snapshots", filtered(rest, seen, FILTERS["Snapshots"]))


def _date(value: object) -> dt.datetime | None:
    if value is None:
        return None
    if not isinstance(value, str):
        raise RefusedError(Fail.BAD_TYPE, "A date has the wrong type.")
    try:
        parsed = dt.datetime.fromisoformat(value)
    except ValueError:
        raise RefusedError(Fail.BAD_VALUE, f"'{value}' is not a date in ISO 8601.") from None
    return parsed if parsed.tzinfo else parsed.replace(tzinfo=dt.UTC)


def usable_snapshot(cloud: LocalCloud, caller: Account, snapshot_id: str) -> Snapshot:
    """The completed snapshot of that id that the caller may use."""
    found = cloud.store.get(Snapshot, check_id(Snapshot, snapshot_id))
    if found is None or not found.visible_to(caller):
        raise RefusedError(Fail.NO_SNAPSHOT, f"The snapshot '{snapshot_id}' does not exist.")
    if found.state != "completed":
        raise RefusedError(Fail.STATE, f"The snapshot {snapshot_id} is {found.state}, not completed.")
    return found


class CreateSnapshotRequest(Request):
    client_token: str | None = None
    description: str | None = None
    file_location: str | None = None
    snapshot_size: int | None = None
    source_region_name: str | None = None
    source_snapshot_id: str | None = None
    volume_id: str | None = None


@action("CreateSnapshot", CreateSnapshotRequest)
def create_snapshot(cloud: LocalCloud, caller: Account, request: CreateSnapshotRequest) -> Json:
    if made := cloud.made_before(caller, Snapshot, request.client_token):
        return {"Snapshot": snapshot_view(made[0])}
    mode = mode_of(request, MODES)
    if mode == "source_snapshot_id":
        if request.source_region_name != caller.region:
            raise RefusedError(Fail.OTHER_REGION, f"A snapshot is copied within its Region only: {caller.region}.")
        source = usable_snapshot(cloud, caller, request.source_snapshot_id or "")
        description = source.description if request.description is None else request.description
        snapshot = start_snapshot(cloud, caller, description, source.size, source_id=source.id)
    elif mode == "file_location":
        raise RefusedError(Fail.BAD_LOCATION, "The sandbox imports no snapshot from a file.")
    else:
        snapshot = snapshot_of_volume(cloud, caller, request.volume_id or "", request.description or "")
    snapshot = cloud.store.put(snapshot.model_copy(update={"client_token": request.client_token or None}))
    return {"Snapshot": snapshot_view(snapshot)}


def snapshot_of_volume(cloud: LocalCloud, caller: Account, volume_id: str, description: str) -> Snapshot:
    """A new snapshot of one of the caller's volumes."""
    volume = cloud.own(caller, Volume, volume_id, Fail.NO_VOLUME)
    if volume.state not in ("available", "in-use"):
        raise RefusedError(Fail.VOLUME_STATE, f"The volume {volume_id} is {volume.state}.")
    return start_snapshot(cloud, caller, description, volume.size, volume_id=volume_id)


@action("UpdateSnapshot")
def update_snapshot(
    cloud: LocalCloud, caller: Account, *, snapshot_id: str, permissions_to_create_volume: PermissionsPart
) -> Json:
    """Change who may make volumes from a snapshot."""
    snapshot = cloud.own(caller, Snapshot, snapshot_id, Fail.NO_SNAPSHOT)
    permissions = permissions_to_create_volume.applied(snapshot.permissions)
    return {"Snapshot": snapshot_view(cloud.store.put(snapshot.model_copy(update={"permissions": permissions})))}


@action("DeleteSnapshot")
def delete_snapshot(cloud: LocalCloud, caller: Account, *, snapshot_id: str) -> None:
    """Delete a snapshot that no image uses; one that is still being copied goes when that has ended."""
    snapshot = cloud.own(caller, Snapshot, snapshot_id, Fail.NO_SNAPSHOT)
    if snapshot.state == "deleting":
        raise RefusedError(Fail.NO_SNAPSHOT, f"The snapshot '{snapshot_id}' does not exist.")
    users = [each.id for each in cloud.store.all(Image) if any(m.snapshot_id == snapshot_id for m in each.mappings)]
    if users:
        raise RefusedError(Fail.SNAPSHOT_IN_USE, f"The snapshot {snapshot_id} is used by the image {users[0]}.")
    cloud.store.put(snapshot.model_copy(update={"state": "deleting"}))
    cloud.later(f"delete {snapshot_id}", lambda: remove_snapshot(cloud, snapshot_id))
