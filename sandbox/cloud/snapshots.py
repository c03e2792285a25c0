"""Snapshots: in-queue → pending → completed, and who may use them."""

from __future__ import annotations

import logging
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from sandbox.cloud.context import LocalCloud
from sandbox.cloud.errors import Fail, RefusedError
from sandbox.cloud.ids import check_id
from sandbox.cloud.model import Account, Image, Permissions, Snapshot, Volume
from sandbox.machines.protocol import MachineError

log = logging.getLogger("sandbox")

PROGRESS_STEPS = (11, 37, 64, 86)
MAX_DESCRIPTION = 255


def visible(caller: Account, snapshot: Snapshot) -> bool:
    """Whether the caller sees the snapshot and may make volumes from it."""
    if snapshot.region != caller.region:
        return False
    return snapshot.account_id == caller.id or snapshot.permissions.allow(caller.id)


def usable_snapshot(cloud: LocalCloud, caller: Account, snapshot_id: str) -> Snapshot:
    """The completed snapshot of that id that the caller may use."""
    found = cloud.store.get(Snapshot, check_id(Snapshot, snapshot_id))
    if found is None or not visible(caller, found):
        raise RefusedError(Fail.NO_SNAPSHOT, f"The snapshot '{snapshot_id}' does not exist.")
    if found.state != "completed":
        raise RefusedError(Fail.STATE, f"The snapshot {snapshot_id} is {found.state}, not completed.")
    return found


def create_snapshot(cloud: LocalCloud, caller: Account, *, volume_id: str, description: str) -> Snapshot:
    """A snapshot of one of the caller's volumes; it is born in-queue with progress 0."""
    with cloud.transaction():
        volume = cloud.own(caller, Volume, volume_id, Fail.NO_VOLUME)
        if volume.state not in ("available", "in-use"):
            raise RefusedError(Fail.VOLUME_STATE, f"The volume {volume_id} is {volume.state}.")
        snapshot = put_snapshot(cloud, caller, description, volume.size, volume_id=volume_id)
        cloud.later(f"snapshot {snapshot.id}", lambda: make_snapshot(cloud, snapshot.id))
        return snapshot


def copy_snapshot(cloud: LocalCloud, caller: Account, *, source_id: str, description: str | None) -> Snapshot:
    """A copy, owned by the caller, of a snapshot that the caller may use, by default under its description."""
    with cloud.transaction():
        source = usable_snapshot(cloud, caller, source_id)
        return start_copy(cloud, caller, source, source.description if description is None else description)


def start_copy(cloud: LocalCloud, caller: Account, source: Snapshot, description: str) -> Snapshot:
    """Copy a snapshot without asking for the right: an image that may be launched gave it."""
    with cloud.transaction():
        snapshot = put_snapshot(cloud, caller, description, source.size, source_id=source.id)
        cloud.later(f"copy {snapshot.id}", lambda: make_snapshot(cloud, snapshot.id))
        return snapshot


def put_snapshot(
    cloud: LocalCloud,
    caller: Account,
    description: str,
    size: int,
    volume_id: str | None = None,
    source_id: str | None = None,
) -> Snapshot:
    """A new one of a volume, of another snapshot, or (neither) of a file."""
    if len(description) > MAX_DESCRIPTION:
        raise RefusedError(Fail.BAD_LENGTH, f"The description has more than {MAX_DESCRIPTION} characters.")
    return cloud.make(
        Snapshot,
        caller,
        description=description,
        volume_id=volume_id,
        source_id=source_id,
        size=size,
        state="in-queue",
        progress=0,
    )


def take_snapshot(cloud: LocalCloud, snapshot_id: str, write: Callable[[Path], object]) -> None:
    """Background: write the content to a file and import it, then go through the states."""
    with _copied(cloud, snapshot_id), tempfile.TemporaryDirectory(prefix="sandbox-import-") as folder:
        path = Path(folder) / "disk"
        write(path)
        cloud.machines.import_snapshot(snapshot_id, str(path))


def make_snapshot(cloud: LocalCloud, snapshot_id: str) -> None:
    """Background: copy the content at once, then show the states that OUTSCALE shows."""
    snapshot = cloud.store.get(Snapshot, snapshot_id)
    if snapshot is None:
        return
    with _copied(cloud, snapshot_id):
        if snapshot.source_id is not None:
            cloud.machines.copy_snapshot(snapshot_id, snapshot.source_id)
        elif snapshot.volume_id is not None:
            cloud.machines.create_snapshot(snapshot_id, snapshot.volume_id)


@contextmanager
def _copied(cloud: LocalCloud, snapshot_id: str) -> Iterator[None]:
    """Inside, a snapshot's content is copied; it then goes through its states, or into `error` where that failed."""
    states = {"in-queue", "pending", "deleting"}
    try:
        yield
    except (MachineError, RefusedError, OSError, EOFError) as error:
        log.warning("snapshot %s: %s", snapshot_id, error)
        cloud.change(Snapshot, snapshot_id, states, state="error", copied=True)
        return
    cloud.change(Snapshot, snapshot_id, states, copied=True)
    complete_snapshot(cloud, snapshot_id)


def complete_snapshot(cloud: LocalCloud, snapshot_id: str) -> None:
    """Background: from in-queue over pending to completed, unless a fault has it otherwise."""
    cloud.pause(cloud.timing.snapshot_queue)
    snapshot = cloud.store.get(Snapshot, snapshot_id)

    def go_on() -> None:
        complete_snapshot(cloud, snapshot_id)

    if snapshot is None or cloud.fault_of(snapshot, "snapshot", "in-queue", stuck=go_on):
        return
    cloud.change(Snapshot, snapshot_id, {"in-queue"}, state="pending")
    for progress in PROGRESS_STEPS:
        cloud.change(Snapshot, snapshot_id, {"pending"}, progress=progress)
        cloud.pause(cloud.timing.snapshot_copy / len(PROGRESS_STEPS))
    if cloud.fault_of(snapshot, "snapshot", "error"):
        cloud.change(Snapshot, snapshot_id, {"pending"}, state="error", progress=PROGRESS_STEPS[-1])
    elif not cloud.fault_of(snapshot, "snapshot", "pending", stuck=go_on):
        cloud.change(Snapshot, snapshot_id, {"pending"}, state="completed", progress=100)


def update_permissions(
    cloud: LocalCloud, caller: Account, snapshot_id: str, *, add: Permissions, remove: Permissions
) -> Snapshot:
    """Change who may make volumes from a snapshot."""
    with cloud.transaction() as store:
        snapshot = cloud.own(caller, Snapshot, snapshot_id, Fail.NO_SNAPSHOT)
        permissions = changed_permissions(snapshot.permissions, add=add, remove=remove)
        return store.put(snapshot.model_copy(update={"permissions": permissions}))


def changed_permissions(before: Permissions, *, add: Permissions, remove: Permissions) -> Permissions:
    """`before` with rights added or removed; one of both must hold something."""
    empty = Permissions()
    if add == empty == remove:
        raise RefusedError(Fail.MISSING_PARAMETER, "One of the parameters 'Additions' and 'Removals' is required.")
    if empty not in (add, remove):
        raise RefusedError(Fail.BAD_COMBINATION, "Additions and Removals can't be given at once.")
    for account_id in add.account_ids + remove.account_ids:
        if not (account_id.isdecimal() and len(account_id) == 12):
            raise RefusedError(Fail.BAD_ID, f"'{account_id}' is not an account id (12 digits).")
    kept = [each for each in before.account_ids if each not in remove.account_ids]
    added = [each for each in dict.fromkeys(add.account_ids) if each not in kept]
    public = (before.public or add.public) and not remove.public
    return Permissions(public=public, account_ids=(*kept, *added))


def delete_snapshot(cloud: LocalCloud, caller: Account, snapshot_id: str) -> None:
    """Delete a snapshot that no image uses; one that is still being copied goes when that has ended."""
    with cloud.transaction() as store:
        snapshot = cloud.own(caller, Snapshot, snapshot_id, Fail.NO_SNAPSHOT)
        if snapshot.state == "deleting":
            raise RefusedError(Fail.NO_SNAPSHOT, f"The snapshot '{snapshot_id}' does not exist.")
        users = [each.id for each in store.all(Image) if any(m.snapshot_id == snapshot_id for m in each.mappings)]
        if users:
            raise RefusedError(Fail.SNAPSHOT_IN_USE, f"The snapshot {snapshot_id} is used by the image {users[0]}.")
        store.put(snapshot.model_copy(update={"state": "deleting"}))
        cloud.later(f"delete {snapshot_id}", lambda: remove_snapshot(cloud, snapshot_id))


def remove_snapshot(cloud: LocalCloud, snapshot_id: str) -> None:
    """Background: remove the content of a snapshot in `deleting`, once nothing writes it."""
    cloud.pause(cloud.timing.snapshot_delete)
    while True:
        snapshot = cloud.store.get(Snapshot, snapshot_id)
        if snapshot is None or snapshot.copied:
            break
        cloud.pause(0.05)
    cloud.discard(Snapshot, snapshot_id, cloud.machines.delete_snapshot)
