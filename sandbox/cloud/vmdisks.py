"""The disks of VMs on this machine: finds them, makes them, and waits for their readers."""

from __future__ import annotations

import logging
import time

from sandbox.cloud.context import LocalCloud
from sandbox.cloud.model import Snapshot, Volume
from sandbox.machines.protocol import MachineError

log = logging.getLogger("sandbox")


def volumes_of(cloud: LocalCloud, vm_id: str) -> list[Volume]:
    """The volumes linked to a VM, in the order they were linked."""
    return [each for each in cloud.store.all(Volume) if each.link is not None and each.link.vm_id == vm_id]


def write_disk(cloud: LocalCloud, volume: Volume) -> bool:
    """Make the disk of a volume; on failure the volume is in `error` and the reason in the log."""
    try:
        cloud.machines.create_volume(volume.id, volume.size, volume.snapshot_id)
    except MachineError as error:
        log.warning("volume %s: %s", volume.id, error)
        cloud.change(Volume, volume.id, {"creating"}, state="error")
        return False
    return True


def wait_for_copies(cloud: LocalCloud, volume_id: str, limit: float) -> None:
    """Wait (at most `limit` seconds) while a snapshot is still being read from a volume."""
    deadline = time.monotonic() + limit
    while time.monotonic() < deadline:
        reading = [
            each
            for each in cloud.store.all(Snapshot)
            if each.volume_id == volume_id and not each.copied and each.state in ("in-queue", "pending", "deleting")
        ]
        if not reading:
            return
        cloud.pause(0.05)
