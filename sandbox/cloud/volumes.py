"""The background work on volumes: creating → available → in-use → deleting."""

from __future__ import annotations

import logging

from sandbox.cloud import vmdisks
from sandbox.cloud.context import Closing, LocalCloud
from sandbox.cloud.model import Vm, Volume
from sandbox.machines.protocol import Disk, MachineError

log = logging.getLogger("sandbox")

COPY_LIMIT = 1800.0
"""Seconds that a deleted volume waits for snapshots that are still read from it."""


def make_volume(cloud: LocalCloud, volume_id: str) -> None:
    """Make the disk of a volume in `creating`; it becomes available, or error."""
    volume = cloud.store.get(Volume, volume_id)
    if volume is None or volume.state != "creating":
        return
    if vmdisks.write_disk(cloud, volume):
        cloud.pause(cloud.timing.volume_create)
        if cloud.fault_of(volume, "volume", "creating", stuck=lambda: make_volume(cloud, volume_id)):
            return
        fault = cloud.fault_of(volume, "volume", "error")
        cloud.change(Volume, volume_id, {"creating"}, state=fault or "available")


def remove_volume(cloud: LocalCloud, volume_id: str) -> None:
    """Remove the disk of a volume in `deleting`, once no snapshot is read from it any more."""
    cloud.pause(cloud.timing.volume_delete)
    vmdisks.wait_for_copies(cloud, volume_id, COPY_LIMIT)
    cloud.discard(Volume, volume_id, cloud.machines.delete_volume)


def attach(cloud: LocalCloud, volume_id: str, vm_id: str) -> None:
    """Plug a volume into its VM: attaching → attached."""
    with cloud.vm_lock(vm_id):
        vm, volume = cloud.store.get(Vm, vm_id), cloud.store.get(Volume, volume_id)
        if vm is None or volume is None or volume.link is None or volume.link.vm_id != vm_id:
            return
        try:
            if vm.state == "running":
                cloud.machines.attach_volume(vm_id, Disk(volume_id, volume.link.device_name))
        except MachineError as error:
            log.warning("linking %s to %s: %s", volume_id, vm_id, error)
            cloud.change(Volume, volume_id, {"in-use"}, state="available", link=None)
            return
        cloud.change(Volume, volume_id, {"in-use"}, link=volume.link.model_copy(update={"state": "attached"}))


def detach(cloud: LocalCloud, volume_id: str) -> None:
    """Take a volume off its VM: detaching → available."""
    volume = cloud.store.get(Volume, volume_id)
    if volume is None or volume.link is None:
        return
    link = volume.link
    with cloud.vm_lock(link.vm_id):
        vm = cloud.store.get(Vm, link.vm_id)
        try:
            if vm is not None and vm.state == "running":
                cloud.machines.detach_volume(vm.id, Disk(volume_id, link.device_name))
        except MachineError as error:
            log.warning("unlinking %s: %s", volume_id, error)
            cloud.change(Volume, volume_id, {"in-use"}, link=link.model_copy(update={"state": "attached"}))
            return
        except Closing:
            return
        cloud.change(Volume, volume_id, {"in-use"}, state="available", link=None)
