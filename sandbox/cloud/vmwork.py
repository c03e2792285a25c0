"""The background work on VMs: the machine's work during each change of state.

One piece of work at a time holds a VM's lock; each reads the state again when it has the lock, since another
call may have overtaken it.
"""

from __future__ import annotations

import datetime as dt
import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from sandbox.cloud import metadata, vmdisks
from sandbox.cloud.context import LocalCloud
from sandbox.cloud.model import PublicIp, Vm, Volume, now
from sandbox.config import INNER_SSH_PORT
from sandbox.machines.protocol import ROOT_BUSES, Disk, MachineError, MachineSpec

log = logging.getLogger("sandbox")

Job = Callable[[], None]
Work = Callable[[LocalCloud, str], None]
GUEST_SHUTDOWN = "Client.InstanceInitiatedShutdown: the VM powered itself off"


def launch_vm(cloud: LocalCloud, vm_id: str, *, boot: bool) -> None:
    """pending → running (or stopped, if it shall not boot): make the volumes, start the machine."""
    with cloud.vm_lock(vm_id):
        if not make_volumes(cloud, vm_id):
            _fail_launch(cloud, vm_id, "a volume could not be made")
            return
        if boot:
            _start(cloud, vm_id, on_failure="terminated")
            return
        cloud.pause(cloud.timing.vm_start)
        cloud.change(Vm, vm_id, {"pending"}, state="stopped")


def make_volumes(cloud: LocalCloud, vm_id: str) -> bool:
    """Make those of a VM's volumes that are still `creating` (under its lock); whether that went well."""
    for volume in vmdisks.volumes_of(cloud, vm_id):
        if volume.state != "creating":
            continue
        if not vmdisks.write_disk(cloud, volume):
            return False
        if cloud.fault_of(volume, "volume", "error"):
            cloud.change(Volume, volume.id, {"creating"}, state="error")
            return False
        if volume.link is not None:
            link = volume.link.model_copy(update={"state": "attached"})
            cloud.change(Volume, volume.id, {"creating"}, state="in-use", link=link)
    return True


def start_vm(cloud: LocalCloud, vm_id: str) -> None:
    """stopped → pending → running."""
    with cloud.vm_lock(vm_id):
        make_volumes(cloud, vm_id)
        _start(cloud, vm_id, on_failure="stopped")


def _start(cloud: LocalCloud, vm_id: str, *, on_failure: str) -> None:
    vm = cloud.store.get(Vm, vm_id)
    if vm is None or vm.state != "pending":
        return

    def go_on() -> None:
        with cloud.vm_lock(vm_id):
            _start(cloud, vm_id, on_failure=on_failure)

    if cloud.fault_of(vm, "vm", "pending", stuck=go_on):
        return
    _trouble_ssh(cloud, vm)
    _keep_key_back(cloud, vm)
    try:
        cloud.machines.start_vm(_spec(cloud, vm), metadata.current(cloud, vm))
    except MachineError as error:
        log.warning("VM %s: %s", vm_id, error)
        if on_failure == "terminated":
            _fail_launch(cloud, vm_id, str(error))
        else:
            cloud.change(Vm, vm_id, {"pending"}, state="stopped", state_reason=f"Server.InternalError: {error}")
        return
    cloud.pause(cloud.timing.vm_start)
    fault = cloud.fault_of(vm, "vm", "quarantine", "terminated")
    if fault == "quarantine":
        _end_machine(cloud, vm_id)
        cloud.change(Vm, vm_id, {"pending"}, state="quarantine")
    elif fault == "terminated":
        _fail_launch(cloud, vm_id, "a fault that was asked for")
    else:
        cloud.change(Vm, vm_id, {"pending"}, state="running", state_reason="")


def _trouble_ssh(cloud: LocalCloud, vm: Vm) -> None:
    """Note a fault of the VM's SSH for this start; the relay applies it."""
    fault = cloud.fault_of(vm, "ssh", "closed", "silent")
    cloud.ssh_faults.pop(vm.id, None)
    if fault:
        cloud.ssh_faults[vm.id] = fault


def _keep_key_back(cloud: LocalCloud, vm: Vm) -> None:
    """Remove the VM's key from its metadata for this start, for good or for some time, if a fault asks for it."""
    fault = cloud.faults.for_state("metadata", {"no-key", "late"}, cloud.whose(vm))
    cloud.keyless.discard(vm.id)
    if fault is None:
        return
    cloud.keyless.add(vm.id)
    if fault.state == "late":

        def refresh() -> None:
            cloud.pause(fault.delay)
            cloud.keyless.discard(vm.id)
            cloud.machines.set_metadata(vm.id, metadata.current(cloud, vm))

        with cloud.transaction():
            cloud.later(f"metadata {vm.id}", refresh)


def _fail_launch(cloud: LocalCloud, vm_id: str, reason: str) -> None:
    cloud.change(Vm, vm_id, {"pending"}, state="shutting-down", state_reason=f"Server.InternalError: {reason}")
    _remove(cloud, vm_id)


def _spec(cloud: LocalCloud, vm: Vm) -> MachineSpec:
    volumes = vmdisks.volumes_of(cloud, vm.id)
    disks = [Disk(each.id, each.link.device_name) for each in volumes if each.link is not None]
    disks.sort(key=lambda disk: disk.device_name != vm.root_device)
    return MachineSpec(
        vm_id=vm.id,
        public_ip=cloud.addresses.public_ip(vm.slot),
        ssh_port=INNER_SSH_PORT,
        disks=tuple(disks),
        firmware=vm.boot_mode,
        root_bus=cloud.root_buses.get(vm.type, ROOT_BUSES[0]),
    )


def stop_vm(cloud: LocalCloud, vm_id: str, *, force: bool) -> None:
    """stopping → stopped: the power button, and at last the plug; `force` pulls it even while another stop waits."""
    if force:
        _pull_plug(cloud, vm_id)
    with cloud.vm_lock(vm_id):
        vm = cloud.store.get(Vm, vm_id)
        if vm is None or vm.state != "stopping":
            return
        try:
            cloud.machines.stop_vm(vm_id, force=force)
        except MachineError as error:
            log.warning("stopping VM %s: %s", vm_id, error)
            _pull_plug(cloud, vm_id)
        cloud.pause(cloud.timing.vm_stop)
        if not cloud.fault_of(vm, "vm", "stopping", stuck=lambda: stop_vm(cloud, vm_id, force=force)):
            cloud.change(Vm, vm_id, {"stopping"}, state="stopped", state_reason="Client.UserInitiatedShutdown")


def _pull_plug(cloud: LocalCloud, vm_id: str) -> None:
    with _failure_logged(f"stopping VM {vm_id}"):
        cloud.machines.stop_vm(vm_id, force=True)


@contextmanager
def _failure_logged(what: str) -> Iterator[None]:
    """Log the machine's failure and go on."""
    try:
        yield
    except MachineError as error:
        log.warning("%s: %s", what, error)


def reboot_vm(cloud: LocalCloud, vm_id: str) -> None:
    """Stop and start the machine of a VM that stays `running`."""
    with cloud.vm_lock(vm_id):
        vm = cloud.store.get(Vm, vm_id)
        if vm is None or vm.state != "running":
            return
        try:
            cloud.machines.stop_vm(vm_id, force=False)
            cloud.machines.start_vm(_spec(cloud, vm), metadata.current(cloud, vm))
        except MachineError as error:
            log.warning("rebooting VM %s: %s", vm_id, error)
            cloud.change(Vm, vm_id, {"running"}, state="stopped", state_reason=f"Server.InternalError: {error}")


def delete_vm(cloud: LocalCloud, vm_id: str) -> None:
    """shutting-down → terminated. The machine is ended before the lock is taken: a slow stop doesn't hold it up."""
    _end_machine(cloud, vm_id)
    with cloud.vm_lock(vm_id):
        _remove(cloud, vm_id)


def _remove(cloud: LocalCloud, vm_id: str) -> None:
    vm = cloud.store.get(Vm, vm_id)
    if vm is None or vm.state != "shutting-down":
        return
    _end_machine(cloud, vm_id)
    cloud.pause(cloud.timing.vm_delete)
    if cloud.fault_of(vm, "vm", "shutting-down", stuck=lambda: delete_vm(cloud, vm_id)):
        return
    gone = []
    for volume in vmdisks.volumes_of(cloud, vm_id):
        if volume.link is None or not volume.link.delete_on_vm_deletion:
            continue
        vmdisks.wait_for_copies(cloud, volume.id, limit=1800.0)
        with _failure_logged(f"volume {volume.id}"):
            cloud.machines.delete_volume(volume.id)
        gone.append(volume.id)
    with cloud.transaction() as store:
        for volume in vmdisks.volumes_of(cloud, vm_id):
            if volume.id in gone:
                store.delete(volume)
            else:
                state = "error" if volume.state == "error" else "available"
                store.put(volume.model_copy(update={"state": state, "link": None}))
        for address in store.all(PublicIp):
            if address.vm_id == vm_id:
                store.put(address.model_copy(update={"vm_id": None, "link_id": None}))
        reason = vm.state_reason or "Client.UserInitiatedShutdown"
        cloud.change(Vm, vm_id, {"shutting-down"}, state="terminated", state_reason=reason, ended=now())


def _end_machine(cloud: LocalCloud, vm_id: str) -> None:
    with _failure_logged(f"deleting VM {vm_id}"):
        cloud.machines.delete_vm(vm_id)


def watch(cloud: LocalCloud) -> None:
    """For ever: notice VMs that powered themselves off, and forget those that ended long ago."""
    while True:
        cloud.pause(cloud.timing.vm_poll)
        for vm in cloud.store.all(Vm):
            if vm.state == "running":
                _notice_power_off(cloud, vm.id)
            elif vm.ended is not None and now() - vm.ended > dt.timedelta(seconds=cloud.timing.terminated_kept):
                with cloud.transaction() as store:
                    store.delete(vm)


def _notice_power_off(cloud: LocalCloud, vm_id: str) -> None:
    lock = cloud.vm_lock(vm_id)
    if not lock.acquire(blocking=False):
        return
    try:
        vm = cloud.store.get(Vm, vm_id)
        if vm is None or vm.state != "running" or cloud.machines.vm_running(vm_id):
            return
        if vm.shutdown_behavior == "restart":
            cloud.machines.start_vm(_spec(cloud, vm), metadata.current(cloud, vm))
        elif vm.shutdown_behavior == "terminate":
            with cloud.transaction():
                cloud.change(Vm, vm_id, {"running"}, state="shutting-down", state_reason=GUEST_SHUTDOWN)
                cloud.later(f"delete {vm_id}", lambda: delete_vm(cloud, vm_id))
        else:
            cloud.change(Vm, vm_id, {"running"}, state="stopped", state_reason=GUEST_SHUTDOWN)
    except MachineError as error:
        log.warning("VM %s: %s", vm_id, error)
    finally:
        lock.release()
