"""Volumes: creating → available → in-use → deleting."""

from __future__ import annotations

import logging

from sandbox.cloud import vmdisks
from sandbox.cloud.context import Closing, LocalCloud
from sandbox.cloud.devices import check_device_name, check_volume
from sandbox.cloud.errors import Fail, RefusedError
from sandbox.cloud.model import Account, Vm, Volume, VolumeLink, now
from sandbox.cloud.snapshots import usable_snapshot
from sandbox.machines.protocol import Disk, MachineError

log = logging.getLogger("sandbox")

COPY_LIMIT = 1800.0
"""Seconds that a deleted volume waits for snapshots that are still read from it."""
MAX_VOLUMES_PER_VM = 40


def create_volume(
    cloud: LocalCloud,
    caller: Account,
    *,
    subregion: str,
    size: int | None,
    volume_type: str | None,
    iops: int | None,
    snapshot_id: str | None,
) -> Volume:
    """A new volume of its own, empty or from a snapshot that the caller may use."""
    if subregion not in cloud.region(caller).subregions:
        raise RefusedError(Fail.NO_SUBREGION, f"The Subregion '{subregion}' does not exist in {caller.region}.")
    with cloud.transaction():
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
            snapshot_id=snapshot_id,
            subregion=subregion,
            state="creating",
        )
        cloud.later(f"make {volume.id}", lambda: make_volume(cloud, volume.id))
        return volume


def make_volume(cloud: LocalCloud, volume_id: str) -> None:
    """Background: make the disk of a volume in `creating`; it becomes available, or error."""
    volume = cloud.store.get(Volume, volume_id)
    if volume is None or volume.state != "creating":
        return
    if vmdisks.write_disk(cloud, volume):
        cloud.pause(cloud.timing.volume_create)
        if cloud.fault_of(volume, "volume", "creating", stuck=lambda: make_volume(cloud, volume_id)):
            return
        fault = cloud.fault_of(volume, "volume", "error")
        cloud.change(Volume, volume_id, {"creating"}, state=fault or "available")


def delete_volume(cloud: LocalCloud, caller: Account, volume_id: str) -> None:
    """Delete a volume that no VM holds."""
    with cloud.transaction() as store:
        volume = cloud.own(caller, Volume, volume_id, Fail.NO_VOLUME)
        if volume.state not in ("available", "error"):
            raise RefusedError(Fail.VOLUME_STATE, f"The volume {volume_id} is {volume.state}, not available.")
        store.put(volume.model_copy(update={"state": "deleting"}))
        cloud.later(f"delete {volume_id}", lambda: remove_volume(cloud, volume_id))


def remove_volume(cloud: LocalCloud, volume_id: str) -> None:
    """Background: remove the disk of a volume in `deleting`, once no snapshot is read from it any more."""
    cloud.pause(cloud.timing.volume_delete)
    vmdisks.wait_for_copies(cloud, volume_id, COPY_LIMIT)
    cloud.discard(Volume, volume_id, cloud.machines.delete_volume)


def link_volume(cloud: LocalCloud, caller: Account, *, volume_id: str, vm_id: str, device_name: str) -> Volume:
    """Attach an available volume to a running or stopped VM of the same Subregion."""
    with cloud.transaction() as store:
        vm = cloud.own(caller, Vm, vm_id, Fail.NO_VM)
        volume = cloud.own(caller, Volume, volume_id, Fail.NO_VOLUME)
        name = check_device_name(device_name, root=vm.root_device)
        if vm.state not in ("running", "stopped"):
            raise RefusedError(Fail.STATE, f"The VM {vm_id} is {vm.state}, not running or stopped.")
        if volume.state != "available":
            raise RefusedError(Fail.VOLUME_STATE, f"The volume {volume_id} is {volume.state}, not available.")
        if volume.subregion != vm.subregion:
            raise RefusedError(
                Fail.SUBREGION_MISMATCH, f"The volume is in {volume.subregion}, the VM in {vm.subregion}."
            )
        linked = vmdisks.volumes_of(cloud, vm_id)
        if any(each.link and each.link.device_name == name for each in linked):
            raise RefusedError(Fail.DEVICE_IN_USE, f"The VM {vm_id} already has a volume at {name}.")
        if len(linked) >= MAX_VOLUMES_PER_VM:
            raise RefusedError(Fail.BAD_COUNT, f"A VM takes at most {MAX_VOLUMES_PER_VM} volumes.")
        link = VolumeLink(vm_id=vm_id, device_name=name, delete_on_vm_deletion=False, state="attaching", linked=now())
        cloud.later(f"link {volume_id}", lambda: _attach(cloud, volume_id, vm_id))
        return store.put(volume.model_copy(update={"state": "in-use", "link": link}))


def _attach(cloud: LocalCloud, volume_id: str, vm_id: str) -> None:
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


def unlink_volume(cloud: LocalCloud, caller: Account, volume_id: str) -> Volume:
    """Detach a volume; a root volume only while its VM is stopped."""
    with cloud.transaction() as store:
        volume = cloud.own(caller, Volume, volume_id, Fail.NO_VOLUME)
        if volume.link is None:
            raise RefusedError(Fail.STATE, f"The volume {volume_id} is not linked to a VM.")
        vm = store.get(Vm, volume.link.vm_id)
        if vm and volume.link.device_name == vm.root_device and vm.state != "stopped":
            raise RefusedError(
                Fail.ROOT_LINKED, f"The root volume leaves its VM only when that is stopped, not {vm.state}."
            )
        link = volume.link.model_copy(update={"state": "detaching"})
        cloud.later(f"unlink {volume_id}", lambda: _detach(cloud, volume_id))
        return store.put(volume.model_copy(update={"link": link}))


def _detach(cloud: LocalCloud, volume_id: str) -> None:
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
