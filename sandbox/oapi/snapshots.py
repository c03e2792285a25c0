"""OAPI: snapshots."""

from __future__ import annotations

import datetime as dt

from sandbox.cloud import snapshots
from sandbox.cloud.context import LocalCloud
from sandbox.cloud.errors import Fail, RefusedError
from sandbox.cloud.filters import Getter, maybe
from sandbox.cloud.model import Account, Snapshot
from sandbox.cloud.request import Request
from sandbox.cloud.seeds import alias_of
from sandbox.oapi.base import (
    Json,
    ReadRequest,
    action,
    date,
    filtered,
    mode_of,
    paged,
    tag_getters,
    tag_views,
    without_none,
)
from sandbox.oapi.devices import PermissionsPart


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


FILTERS: dict[str, Getter[Snapshot]] = {
    "AccountAliases": lambda one: maybe(alias_of(one.account_id)),
    "AccountIds": lambda one: [one.account_id],
    "ClientTokens": lambda one: maybe(one.client_token),
    "Descriptions": lambda one: [one.description],
    "PermissionsToCreateVolumeAccountIds": lambda one: one.permissions.account_ids,
    "PermissionsToCreateVolumeGlobalPermission": lambda one: [str(one.permissions.public).lower()],
    "Progresses": lambda one: [str(one.progress)],
    "SnapshotIds": lambda one: [one.id],
    "States": lambda one: [one.state],
    "VolumeIds": lambda one: maybe(one.volume_id),
    "VolumeSizes": lambda one: [str(one.size)],
    **tag_getters(),
}


@action("ReadSnapshots", ReadRequest)
def read_snapshots(cloud: LocalCloud, caller: Account, request: ReadRequest) -> Json:
    filters = dict(request.filters or {})
    earliest, latest = _date(filters.pop("FromCreationDate", None)), _date(filters.pop("ToCreationDate", None))
    seen = [
        each
        for each in cloud.store.all(Snapshot)
        if snapshots.visible(caller, each)
        and (earliest is None or each.created >= earliest)
        and (latest is None or each.created <= latest)
    ]
    rest = request.model_copy(update={"filters": filters})
    return paged(request, "Snapshots", [snapshot_view(each) for each in filtered(rest, seen, FILTERS)])


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


MODES = {
    "volume_id": frozenset[str](),
    "source_snapshot_id": frozenset({"source_region_name"}),
    "file_location": frozenset({"snapshot_size"}),
}
"""The source of a snapshot -> the parameters that belong to it alone."""


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
        snapshot = snapshots.copy_snapshot(
            cloud, caller, source_id=request.source_snapshot_id or "", description=request.description
        )
    elif mode == "file_location":
        raise RefusedError(Fail.BAD_LOCATION, "The sandbox imports no snapshot from a file.")
    else:
        snapshot = snapshots.create_snapshot(
            cloud, caller, volume_id=request.volume_id or "", description=request.description or ""
        )
    snapshot = cloud.store.put(snapshot.model_copy(update={"client_token": request.client_token or None}))
    return {"Snapshot": snapshot_view(snapshot)}


class UpdateSnapshotRequest(Request):
    snapshot_id: str
    permissions_to_create_volume: PermissionsPart


@action("UpdateSnapshot", UpdateSnapshotRequest)
def update_snapshot(cloud: LocalCloud, caller: Account, request: UpdateSnapshotRequest) -> Json:
    change = request.permissions_to_create_volume
    snapshot = snapshots.update_permissions(
        cloud, caller, request.snapshot_id, add=change.added(), remove=change.removed()
    )
    return {"Snapshot": snapshot_view(snapshot)}


class DeleteSnapshotRequest(Request):
    snapshot_id: str


@action("DeleteSnapshot", DeleteSnapshotRequest)
def delete_snapshot(cloud: LocalCloud, caller: Account, request: DeleteSnapshotRequest) -> Json:
    snapshots.delete_snapshot(cloud, caller, request.snapshot_id)
    return {}
