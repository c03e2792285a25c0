"""Takes up the state that an ended or killed process left.

VMs ended with the process: those that ran, started or stopped are `stopped`. A snapshot whose content was not yet
copied is in `error`; one that was copied completes. Unfinished volumes, images and deletions are redone. Unfinished
exports have failed, since the object store's buckets are gone.
"""

from __future__ import annotations

import logging
from functools import partial

from sandbox.cloud import vmwork
from sandbox.cloud.context import LocalCloud
from sandbox.cloud.images import complete_image
from sandbox.cloud.model import Image, ImageExportTask, Snapshot, Vm, Volume
from sandbox.cloud.snapshots import complete_snapshot, remove_snapshot
from sandbox.cloud.volumes import make_volume, remove_volume

log = logging.getLogger("sandbox")

SERVER_ENDED = "Server.HostStopped: the sandbox was stopped"


def recover(cloud: LocalCloud) -> None:
    """Put every resource into its true state; longer work goes on in the background."""
    with cloud.transaction():
        _recover_vms(cloud)
        _recover_volumes(cloud)
        _recover_snapshots(cloud)
        for image in cloud.store.all(Image):
            if image.state == "pending":
                cloud.later(f"image {image.id}", partial(complete_image, cloud, image.id))
        for task in cloud.store.all(ImageExportTask):
            if task.state in ("pending/queued", "pending"):
                cloud.store.put(task.model_copy(update={"state": "failed", "comment": "the sandbox was stopped"}))


def stop_all(cloud: LocalCloud) -> None:
    """Mark every VM as stopped: the machines were ended."""
    with cloud.transaction() as store:
        for vm in store.all(Vm):
            if vm.state in ("running", "stopping"):
                store.put(vm.model_copy(update={"state": "stopped", "state_reason": SERVER_ENDED}))


def _recover_vms(cloud: LocalCloud) -> None:
    for vm in cloud.store.all(Vm):
        if vm.state in ("pending", "running", "stopping"):
            log.info("VM %s was %s, it is stopped now", vm.id, vm.state)
            cloud.store.put(vm.model_copy(update={"state": "stopped", "state_reason": SERVER_ENDED}))
        elif vm.state == "shutting-down":
            cloud.later(f"delete {vm.id}", partial(vmwork.delete_vm, cloud, vm.id))


def _recover_volumes(cloud: LocalCloud) -> None:
    for volume in cloud.store.all(Volume):
        if volume.state == "creating":
            work = partial(make_volume, cloud, volume.id)
            if volume.link is not None:
                work = partial(_make_linked, cloud, volume.link.vm_id)
            cloud.later(f"make {volume.id}", work)
        elif volume.state == "deleting":
            cloud.later(f"delete {volume.id}", partial(remove_volume, cloud, volume.id))
        elif volume.link is not None and volume.link.state == "attaching":
            link = volume.link.model_copy(update={"state": "attached"})
            cloud.store.put(volume.model_copy(update={"link": link}))
        elif volume.link is not None and volume.link.state == "detaching":
            vm = cloud.store.get(Vm, volume.link.vm_id)
            if vm is not None and vm.state == "stopped":
                cloud.store.put(volume.model_copy(update={"state": "available", "link": None}))


def _make_linked(cloud: LocalCloud, vm_id: str) -> None:
    with cloud.vm_lock(vm_id):
        vmwork.make_volumes(cloud, vm_id)


def _recover_snapshots(cloud: LocalCloud) -> None:
    for snapshot in cloud.store.all(Snapshot):
        if snapshot.state == "deleting":
            cloud.store.put(snapshot.model_copy(update={"copied": True}))
            cloud.later(f"delete {snapshot.id}", partial(remove_snapshot, cloud, snapshot.id))
        elif snapshot.state in ("in-queue", "pending") and snapshot.copied:
            cloud.store.put(snapshot.model_copy(update={"state": "in-queue", "progress": 0}))
            cloud.later(f"snapshot {snapshot.id}", partial(complete_snapshot, cloud, snapshot.id))
        elif snapshot.state in ("in-queue", "pending"):
            log.info("snapshot %s was not copied when the sandbox ended, it is in error now", snapshot.id)
            cloud.store.put(snapshot.model_copy(update={"state": "error", "copied": True}))
