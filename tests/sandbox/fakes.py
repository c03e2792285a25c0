"""A machine without QEMU: disks are small files, VMs are listeners that greet as SSH servers do."""

from __future__ import annotations

import datetime as dt
import os
import socket
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from sandbox.machines.protocol import Disk, MachineError, MachineSpec, Metadata

BANNER = b"SSH-2.0-fake\r\n"
ADDRESS_IN_USE_LIMIT = 5.0


@dataclass(frozen=True)
class FakeSource:
    """What the maker of the source OMI returns."""

    path: Path
    size_gib: int
    name: str
    created: dt.datetime


def fake_source(cache: Path, progress: Callable[[str], None]) -> FakeSource:
    """A stand-in for sandbox.source_omi.ensure."""
    progress("making a disk that boots nothing")
    path = cache / "fake-source.qcow2"
    path.write_text("debian")
    return FakeSource(path, 10, "Debian-12-2026-10-13", dt.datetime(2026, 10, 13, tzinfo=dt.UTC))


class FakeVm:
    """A VM: answers the SSH banner on its address until it is ended."""

    def __init__(self, spec: MachineSpec, metadata: Metadata) -> None:
        self.spec = spec
        self.metadata = metadata
        self.disks = list(spec.disks)
        self._listener = _listen(spec.public_ip, spec.ssh_port)
        threading.Thread(target=self._greet, daemon=True).start()

    def _greet(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            with client:
                client.sendall(BANNER)

    def forward(self, port: int) -> int:
        """A listener that says which port it is, once."""
        listener = socket.create_server(("127.0.0.1", 0))

        def say() -> None:
            client, _ = listener.accept()
            with listener, client:
                client.sendall(b"port %d\n" % port)

        threading.Thread(target=say, daemon=True).start()
        return int(listener.getsockname()[1])

    def end(self) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()


def _listen(ip: str, port: int) -> socket.socket:
    deadline = time.monotonic() + ADDRESS_IN_USE_LIMIT
    while True:
        try:
            return socket.create_server((ip, port))
        except OSError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.02)


class FakeMachines:
    """Implements sandbox.machines.protocol.Machines. `slow` makes copies take that many seconds."""

    def __init__(self, home: Path) -> None:
        self.home = home / "volumes"
        self.home.mkdir(exist_ok=True)
        self.vms: dict[str, FakeVm] = {}
        self.slow = float(os.environ.get("ALPINE_OMI_FAKES_SLOW", "0"))
        self.failing: set[str] = set()
        self.consoles: dict[str, bytes] = {}
        self.boot_text = b"fake console\n"
        """What a VM that starts writes to its console."""

    def _path(self, key: str) -> Path:
        return self.home / key

    def _fail(self, call: str) -> None:
        if call in self.failing:
            raise MachineError(f"{call} fails as it was told to")

    def create_volume(self, volume_id: str, size_gib: int, snapshot_id: str | None) -> None:
        self._fail("create_volume")
        content = self._read(snapshot_id) if snapshot_id else "empty"
        self._path(volume_id).write_text(content)

    def _read(self, key: str) -> str:
        try:
            return self._path(key).read_text()
        except FileNotFoundError:
            raise MachineError(f"{key} has no disk") from None

    def delete_volume(self, volume_id: str) -> None:
        self._path(volume_id).unlink(missing_ok=True)

    def create_snapshot(self, snapshot_id: str, volume_id: str) -> None:
        self._fail("create_snapshot")
        time.sleep(self.slow)
        self._path(snapshot_id).write_text(self._read(volume_id))

    def copy_snapshot(self, snapshot_id: str, source_snapshot_id: str) -> None:
        self._path(snapshot_id).write_text(self._read(source_snapshot_id))

    def import_snapshot(self, snapshot_id: str, path: str) -> None:
        self._path(snapshot_id).write_text(Path(path).read_text())

    def export_snapshot(self, snapshot_id: str, path: str, kind: str) -> None:
        self._fail("export_snapshot")
        Path(path).write_text(self._read(snapshot_id))

    def delete_snapshot(self, snapshot_id: str) -> None:
        self._path(snapshot_id).unlink(missing_ok=True)

    def start_vm(self, spec: MachineSpec, metadata: Metadata) -> None:
        self._fail("start_vm")
        for disk in spec.disks:
            self._read(disk.volume_id)
        if spec.vm_id not in self.vms:
            self.vms[spec.vm_id] = FakeVm(spec, metadata)
            self.consoles[spec.vm_id] = self.boot_text

    def set_metadata(self, vm_id: str, metadata: Metadata) -> None:
        self.vms[vm_id].metadata = metadata

    def stop_vm(self, vm_id: str, *, force: bool) -> None:
        self.power_off(vm_id)

    def power_off(self, vm_id: str) -> None:
        """As the guest does by itself."""
        vm = self.vms.pop(vm_id, None)
        if vm is not None:
            vm.end()

    def delete_vm(self, vm_id: str) -> None:
        self.power_off(vm_id)
        self.consoles.pop(vm_id, None)

    def vm_running(self, vm_id: str) -> bool:
        return vm_id in self.vms

    def forward(self, vm_id: str, port: int) -> int:
        return self.vms[vm_id].forward(port)

    def attach_volume(self, vm_id: str, disk: Disk) -> None:
        self.vms[vm_id].disks.append(disk)

    def detach_volume(self, vm_id: str, disk: Disk) -> None:
        self.vms[vm_id].disks.remove(disk)

    def console(self, vm_id: str) -> bytes:
        return self.consoles.get(vm_id, b"")

    def close(self) -> None:
        for vm_id in list(self.vms):
            self.power_off(vm_id)
