"""The driver of stub VMs: small files for disks, one thread with an event loop for all of their SSH servers."""

from __future__ import annotations

import asyncio
import shutil
import threading
from collections.abc import Coroutine
from pathlib import Path
from typing import Any, TypeVar

from sandbox.machines.protocol import Disk, MachineError, MachineSpec, Metadata
from sandbox.machines.stub.answers import RECORDED, Answers
from sandbox.machines.stub.disks import StubDisks
from sandbox.machines.stub.guest import StubGuest

T = TypeVar("T")
_LIMIT_S = 30.0


class StubMachines:
    """Implements `sandbox.machines.protocol.Machines` below `home` by stubs; `answers` is the folder of a recording."""

    def __init__(self, home: Path, answers: Path = RECORDED) -> None:
        self._disks = StubDisks(home / "volumes")
        self._folder = home / "vms"
        self._answers = Answers.read(answers)
        self._guests: dict[str, StubGuest] = {}
        self._guard = threading.Lock()
        self._closed = False
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="stub VMs", daemon=True)
        self._thread.start()

    def create_volume(self, volume_id: str, size_gib: int, snapshot_id: str | None) -> None:
        """The size is known to the cloud alone."""
        self._disks.make(volume_id, snapshot_id)

    def delete_volume(self, volume_id: str) -> None:
        self._disks.delete(volume_id)

    def create_snapshot(self, snapshot_id: str, volume_id: str) -> None:
        self._disks.make(snapshot_id, volume_id)

    def copy_snapshot(self, snapshot_id: str, source_snapshot_id: str) -> None:
        self._disks.make(snapshot_id, source_snapshot_id)

    def import_snapshot(self, snapshot_id: str, path: str) -> None:
        """Takes disks of stub VMs only."""
        self._disks.take(snapshot_id, Path(path))

    def export_snapshot(self, snapshot_id: str, path: str, kind: str) -> None:
        """Copy it as it is: stub disks have the same content in either format."""
        self._disks.give(snapshot_id, Path(path))

    def delete_snapshot(self, snapshot_id: str) -> None:
        self._disks.delete(snapshot_id)

    def start_vm(self, spec: MachineSpec, metadata: Metadata) -> None:
        """Its SSH answers when this returns."""
        if not spec.disks:
            raise MachineError(f"VM {spec.vm_id} has no disk to start from")
        with self._guard:
            if self._closed:
                raise MachineError(f"VM {spec.vm_id} cannot be started: the sandbox is ending")
            before = self._guests.get(spec.vm_id)
            guest = (
                before
                if before is not None and before.running
                else StubGuest(
                    spec, self._answers, self._disks, self._folder / spec.vm_id, before.host_key if before else None
                )
            )
            guest.metadata = metadata
            self._guests[spec.vm_id] = guest
        self._do(guest.start())
        if self._guests.get(spec.vm_id) is not guest:  # delete_vm came before it listened, and found nothing to end
            self._do(guest.stop())
            raise MachineError(f"VM {spec.vm_id} was deleted while it started")

    def set_metadata(self, vm_id: str, metadata: Metadata) -> None:
        guest = self._guests.get(vm_id)
        if guest is not None:
            guest.metadata = metadata

    def stop_vm(self, vm_id: str, *, force: bool) -> None:
        """There is nothing to wait for."""
        guest = self._guests.get(vm_id)
        if guest is not None:
            self._do(guest.stop())

    def delete_vm(self, vm_id: str) -> None:
        self.stop_vm(vm_id, force=True)
        with self._guard:
            self._guests.pop(vm_id, None)
        shutil.rmtree(self._folder / vm_id, ignore_errors=True)

    def vm_running(self, vm_id: str) -> bool:
        guest = self._guests.get(vm_id)
        return guest is not None and guest.running

    def forward(self, vm_id: str, port: int) -> int:
        raise MachineError(f"VM {vm_id} is a stub, which answers by SSH alone, not on port {port}")

    def attach_volume(self, vm_id: str, disk: Disk) -> None:
        """A stub takes no notice of what is attached while it runs."""

    def detach_volume(self, vm_id: str, disk: Disk) -> None:
        """See attach_volume."""

    def console(self, vm_id: str) -> bytes:
        """Return the serial console of the current or last run."""
        guest = self._guests.get(vm_id)
        return guest.console().encode() if guest is not None else b""

    def close(self) -> None:
        self._closed = True
        for vm_id in list(self._guests):
            self.stop_vm(vm_id, force=True)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(_LIMIT_S)

    def _do(self, work: Coroutine[Any, Any, T]) -> T:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(_LIMIT_S)
