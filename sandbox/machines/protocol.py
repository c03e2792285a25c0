"""The interface of the machine below the cloud: disks, snapshots and virtual machines."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

ROOT_BUSES = ("virtio-blk", "virtio-scsi")
"""The buses for a root disk; the first is the usual one."""


@dataclass(frozen=True)
class Disk:
    """One volume attached to a VM: its id, its API device name (`/dev/sda1` for the root, `/dev/xvdf`, ...)."""

    volume_id: str
    device_name: str


@dataclass(frozen=True)
class MachineSpec:
    """Everything needed to start a VM; the first disk is the root, the others are virtio-scsi.

    `public_ip` is the loopback address on which the guest's SSH port appears. `firmware` is `legacy` or `uefi`,
    `root_bus` one of ROOT_BUSES.
    """

    vm_id: str
    public_ip: str
    ssh_port: int
    disks: tuple[Disk, ...]
    firmware: str = "legacy"
    root_bus: str = ROOT_BUSES[0]


@dataclass(frozen=True)
class Metadata:
    """The metadata service's answers to one VM; `entries` maps a path below `/latest/` to its text or bytes.

    Example: {"meta-data/instance-id": b"i-1", "meta-data/public-keys/0/openssh-key": b"ssh-..."}; also "user-data".
    Folders are listed from the entries below them. A path that is absent answers 404; PUT is never served (IMDSv1).
    """

    entries: dict[str, bytes]


class Machines(Protocol):
    """Disks and VMs. Every call may be repeated, blocks until done, and raises `MachineError` with one clear line."""

    def create_volume(self, volume_id: str, size_gib: int, snapshot_id: str | None) -> None:
        """Make an empty volume, or one that starts as a copy-on-write child of a snapshot (grown to size_gib)."""

    def delete_volume(self, volume_id: str) -> None: ...

    def create_snapshot(self, snapshot_id: str, volume_id: str) -> None:
        """Freeze a volume's content (sparse); crash-consistent where the volume's VM is running."""

    def copy_snapshot(self, snapshot_id: str, source_snapshot_id: str) -> None: ...

    def import_snapshot(self, snapshot_id: str, path: str) -> None:
        """Make a snapshot from a qcow2 or raw file on this machine."""

    def export_snapshot(self, snapshot_id: str, path: str, kind: str) -> None:
        """Write a snapshot's content to a new file, qcow2 or raw."""

    def delete_snapshot(self, snapshot_id: str) -> None: ...

    def start_vm(self, spec: MachineSpec, metadata: Metadata) -> None: ...

    def set_metadata(self, vm_id: str, metadata: Metadata) -> None: ...

    def stop_vm(self, vm_id: str, *, force: bool) -> None:
        """Press the power button, wait up to the implementation's limit, then pull the plug; `force` pulls at once."""

    def delete_vm(self, vm_id: str) -> None:
        """End the VM at once and remove what belongs to it alone (sockets, logs); its volumes stay."""

    def vm_running(self, vm_id: str) -> bool: ...

    def forward(self, vm_id: str, port: int) -> int:
        """A port on 127.0.0.1 that leads to this TCP port of the running VM from now on."""

    def attach_volume(self, vm_id: str, disk: Disk) -> None: ...

    def detach_volume(self, vm_id: str, disk: Disk) -> None: ...

    def console(self, vm_id: str) -> bytes:
        """The last 64 KiB of the serial console."""

    def close(self) -> None:
        """End every VM (gracefully within seconds, then at once)."""


class MachineError(Exception):
    """The machine failed; the message has the problem, its reason and the cure."""
