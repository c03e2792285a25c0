"""The local cloud's machines: disks in a folder and VMs by QEMU."""

from __future__ import annotations

import threading
from collections import defaultdict
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager, nullcontext
from pathlib import Path

from sandbox.machines.accelerator import Accelerator, Choice
from sandbox.machines.disks import DiskStore
from sandbox.machines.protocol import Disk, MachineError, MachineSpec, Metadata
from sandbox.machines.vm import Machine

POWER_OFF_LIMIT_S = 300.0
CLOSE_LIMIT_S = 15.0


class QemuMachines:
    """Implements `sandbox.machines.protocol.Machines` below `home`; may be called from several threads.

    Locks are taken in this order: VM, then disks by id.
    """

    def __init__(self, home: Path, accelerator: Accelerator = Accelerator.TCG) -> None:
        self.choice = Choice(accelerator)
        """The accelerator of all VMs from now on."""
        self._folder = home / "vms"
        self._disks = DiskStore(home)
        self._vms: dict[str, Machine] = {}
        self._guard = threading.Lock()
        self._disk_locks: defaultdict[str, threading.Lock] = defaultdict(threading.Lock)
        self._closed = False

    def create_volume(self, volume_id: str, size_gib: int, snapshot_id: str | None) -> None:
        with self._busy(volume_id, *([snapshot_id] if snapshot_id else [])):
            self._disks.create_volume(volume_id, size_gib, snapshot_id)

    def delete_volume(self, volume_id: str) -> None:
        """Refused while a running VM has the volume."""
        with self._busy(volume_id):
            self._require_free(volume_id)
            self._disks.delete_volume(volume_id)

    def create_snapshot(self, snapshot_id: str, volume_id: str) -> None:
        """Freeze a snapshot. A running VM stands still while its volume is copied (about a second)."""
        while True:
            holder = self._holder(volume_id)
            with holder.lock if holder else nullcontext(), self._busy(volume_id, snapshot_id):
                if self._holder(volume_id) is not holder:
                    continue
                with _standing_still(holder):
                    self._disks.create_snapshot(snapshot_id, volume_id)
                return

    def copy_snapshot(self, snapshot_id: str, source_snapshot_id: str) -> None:
        """Takes no space."""
        with self._busy(snapshot_id, source_snapshot_id):
            self._disks.copy_snapshot(snapshot_id, source_snapshot_id)

    def import_snapshot(self, snapshot_id: str, path: str) -> None:
        with self._busy(snapshot_id):
            self._disks.import_snapshot(snapshot_id, Path(path))

    def export_snapshot(self, snapshot_id: str, path: str, kind: str) -> None:
        with self._busy(snapshot_id):
            self._disks.export_snapshot(snapshot_id, Path(path), kind)

    def delete_snapshot(self, snapshot_id: str) -> None:
        """Safe while volumes grow from the snapshot."""
        with self._busy(snapshot_id):
            self._disks.delete_snapshot(snapshot_id)

    def start_vm(self, spec: MachineSpec, metadata: Metadata) -> None:
        if not spec.disks:
            raise MachineError(f"VM {spec.vm_id} has no disk to start from")
        vm = self._vm(spec.vm_id)
        with vm.lock, self._busy(*(disk.volume_id for disk in spec.disks)):
            if self._closed:
                raise MachineError(f"VM {spec.vm_id} cannot be started: the sandbox is ending")
            volumes = {disk.volume_id: self._disks.volume(disk.volume_id) for disk in spec.disks}
            for volume_id in volumes:
                self._require_free(volume_id, but_for=vm)
            vm.start(spec, metadata, volumes, self.choice)

    def set_metadata(self, vm_id: str, metadata: Metadata) -> None:
        self._vm(vm_id).set_metadata(metadata)

    def delay_metadata(self, vm_id: str, seconds: float) -> None:
        """Keep the VM's metadata service silent for so long from now, and after each later start of the VM."""
        self._vm(vm_id).delay_metadata(seconds)

    def stop_vm(self, vm_id: str, *, force: bool) -> None:
        """The limit is POWER_OFF_LIMIT_S."""
        vm = self._known(vm_id)
        if vm is not None and force:
            vm.unplug_power()
        elif vm is not None:
            vm.power_off(POWER_OFF_LIMIT_S)

    def delete_vm(self, vm_id: str) -> None:
        with self._guard:
            vm = self._vms.pop(vm_id, None) or Machine(vm_id, self._folder / vm_id)
        vm.delete()

    def vm_running(self, vm_id: str) -> bool:
        """Whether QEMU runs; false for a VM that powered itself off, and for an unknown one."""
        vm = self._known(vm_id)
        return vm is not None and vm.running()

    def forward(self, vm_id: str, port: int) -> int:
        return self._vm(vm_id).forward(port)

    def attach_volume(self, vm_id: str, disk: Disk) -> None:
        """Nothing to do for a stopped VM, which gets its volumes at its start."""
        vm = self._known(vm_id)
        if vm is not None:
            with vm.lock, self._busy(disk.volume_id):
                self._require_free(disk.volume_id, but_for=vm)
                vm.attach(disk, self._disks.volume(disk.volume_id))

    def detach_volume(self, vm_id: str, disk: Disk) -> None:
        vm = self._known(vm_id)
        if vm is not None:
            vm.detach(disk)

    def console(self, vm_id: str) -> bytes:
        """Empty for a VM that never ran."""
        return (self._known(vm_id) or Machine(vm_id, self._folder / vm_id)).console()

    def close(self) -> None:
        """The limit is CLOSE_LIMIT_S."""
        self._closed = True
        with self._guard:
            vms = list(self._vms.values())
        with ThreadPoolExecutor(max_workers=max(len(vms), 1)) as pool:
            list(pool.map(lambda vm: vm.power_off(CLOSE_LIMIT_S), vms))
        for vm in vms:
            vm.close()

    def _vm(self, vm_id: str) -> Machine:
        with self._guard:
            return self._vms.setdefault(vm_id, Machine(vm_id, self._folder / vm_id))

    def _known(self, vm_id: str) -> Machine | None:
        with self._guard:
            return self._vms.get(vm_id)

    def _holder(self, volume_id: str) -> Machine | None:
        with self._guard:
            vms = list(self._vms.values())
        return next((vm for vm in vms if vm.holds(volume_id)), None)

    def _require_free(self, volume_id: str, but_for: Machine | None = None) -> None:
        holder = self._holder(volume_id)
        if holder is not None and holder is not but_for:
            raise MachineError(f"volume {volume_id} is in use by the running VM {holder.vm_id}: detach it first")

    @contextmanager
    def _busy(self, *disk_ids: str) -> Iterator[None]:
        """One call at a time for each of these disks."""
        with self._guard:
            locks = [self._disk_locks[disk_id] for disk_id in sorted(set(disk_ids))]
        with ExitStack() as stack:
            for lock in locks:
                stack.enter_context(lock)
            yield


@contextmanager
def _standing_still(vm: Machine | None) -> Iterator[None]:
    if vm is None:
        yield
        return
    vm.pause()
    try:
        yield
    finally:
        vm.resume()
