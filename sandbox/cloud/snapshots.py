"""The background work on snapshots: in-queue → pending → completed."""

from __future__ import annotations

import logging
import tempfile
from collections.abc import Callable
from pathlib import Path

from sandbox.cloud.context import LocalCloud
from sandbox.cloud.errors import Fail, RefusedError
from sandbox.cloud.model import Account, Snapshot
from sandbox.machines.protocol import MachineError

log = logging.getLogger("sandbox")

PROGRESS_STEPS = (11, 37, 64, 86)
MAX_DESCRIPTION = 255


def start_snapshot(
    cloud: LocalCloud,
    caller: Account,
    description: str,
    size: int,
    *,
    volume_id: str | None = None,
    source_id: str | None = None,
    write: Callable[[Path], object] | None = None,
) -> Snapshot:
    """Begin a snapshot of a volume, of another snapshot, or of what `write` puts into a file; it is born in-queue."""
    if len(description) > MAX_DESCRIPTION:
        raise RefusedError(Fail.BAD_LENGTH, f"The description has more than {MAX_DESCRIPTION} characters.")
    snapshot = cloud.make(
        Snapshot,
        caller,
        description=description,
        volume_id=volume_id,
        source_id=source_id,
        size=size,
        state="in-queue",
        progress=0,
    )
    cloud.later(f"snapshot {snapshot.id}", lambda: _make(cloud, snapshot, write))
    return snapshot


def _make(cloud: LocalCloud, snapshot: Snapshot, write: Callable[[Path], object] | None) -> None:
    """Copy the content at once, then go through OUTSCALE's states; `error` if the copy fails."""
    states = {"in-queue", "pending", "deleting"}
    try:
        if snapshot.source_id is not None:
            cloud.machines.copy_snapshot(snapshot.id, snapshot.source_id)
        elif snapshot.volume_id is not None:
            cloud.machines.create_snapshot(snapshot.id, snapshot.volume_id)
        elif write is not None:
            with tempfile.TemporaryDirectory(prefix="sandbox-import-") as folder:
                path = Path(folder) / "disk"
                write(path)
                cloud.machines.import_snapshot(snapshot.id, str(path))
    except (MachineError, RefusedError, OSError, EOFError) as error:
        log.warning("snapshot %s: %s", snapshot.id, error)
        cloud.change(Snapshot, snapshot.id, states, state="error", copied=True)
        return
    cloud.change(Snapshot, snapshot.id, states, copied=True)
    complete_snapshot(cloud, snapshot.id)


def complete_snapshot(cloud: LocalCloud, snapshot_id: str) -> None:
    """Go from in-queue through pending to completed, unless a fault changes that."""
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


def remove_snapshot(cloud: LocalCloud, snapshot_id: str) -> None:
    """Remove the content of a snapshot in `deleting`, once nothing writes it."""
    cloud.pause(cloud.timing.snapshot_delete)
    while True:
        snapshot = cloud.store.get(Snapshot, snapshot_id)
        if snapshot is None or snapshot.copied:
            break
        cloud.pause(0.05)
    cloud.discard(Snapshot, snapshot_id, cloud.machines.delete_snapshot)
