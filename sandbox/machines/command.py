"""QEMU's command line for a VM, and the arguments to plug a volume into a running one."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from pathlib import Path

from sandbox.machines.accelerator import QEMU, Accelerator
from sandbox.machines.protocol import Disk, MachineError, MachineSpec

# MiB for each VM; enough for the build VM, whose largest task is apk with an initramfs.
MEMORY_MIB = 640
GUEST_ADDRESS = "169.254.0.15"
NETWORK = f"net=169.254.0.0/16,host=169.254.0.2,dns=169.254.0.3,dhcpstart={GUEST_ADDRESS}"
UEFI_CODE = Path("/usr/share/OVMF/OVMF_CODE_4M.fd")
UEFI_VARIABLES = Path("/usr/share/OVMF/OVMF_VARS_4M.fd")
SCSI_BUS = "scsi0"
_ROOT: dict[str, object] = {"id": "root", "drive": "node-root", "bootindex": 0}
_ROOT_DEVICES: dict[str, dict[str, object]] = {
    "virtio-blk": {"driver": "virtio-blk-pci"},
    "virtio-scsi": {"driver": "scsi-hd", "bus": f"{SCSI_BUS}.0"},
}
_DEVICE = re.compile(r"^/dev/(?:xvd|sd)(?P<letters>[a-z]{1,2})$")


@dataclass(frozen=True)
class Attachment:
    """A volume as one VM sees it: `name` is `sdf` for the API's /dev/xvdf, and `root` for the first disk."""

    disk: Disk
    name: str

    @property
    def node(self) -> str:
        """Name of QEMU's block node."""
        return f"node-{self.name}"


def attachment(disk: Disk) -> Attachment:
    """Where a further volume goes. Raises MachineError for a device name that is none."""
    match = _DEVICE.match(disk.device_name)
    if match is None:
        raise MachineError(
            f"device {disk.device_name!r} of volume {disk.volume_id}: allowed are names like /dev/xvdb and /dev/sdb"
        )
    return Attachment(disk, f"sd{match['letters']}")


def block_node(node: str, path: Path) -> dict[str, object]:
    """A qcow2 file as a block node that gives freed and zeroed blocks back.

    `no-flush`: the guest's flushes reach this machine's page cache, not its disk. So the data outlive QEMU and the
    sandbox, killed or not, but not a power failure of this machine; snapshots and builds are several times faster.
    """
    cache = {"direct": False, "no-flush": True}
    return {
        "driver": "qcow2",
        "node-name": node,
        "discard": "unmap",
        "detect-zeroes": "unmap",
        "cache": cache,
        "file": {"driver": "file", "filename": str(path), "discard": "unmap", "cache": cache},
    }


def scsi_device(plug: Attachment) -> dict[str, object]:
    """A virtio-scsi disk that the guest finds as /dev/disk/by-id/scsi-0QEMU_QEMU_HARDDISK_<name>."""
    return {
        "driver": "scsi-hd",
        "id": plug.name,
        "bus": f"{SCSI_BUS}.0",
        "drive": plug.node,
        "device_id": plug.name,
        "serial": plug.name,
    }


@dataclass(frozen=True)
class Surroundings:
    """A VM's command line, the parts from this machine: files, the metadata service's port, QMP's inherited socket."""

    accelerator: Accelerator
    volumes: dict[str, Path]
    folder: Path
    metadata_port: int
    qmp_fd: int
    socat: str


def qemu_command(spec: MachineSpec, around: Surroundings) -> list[str]:
    """The whole command line; `spec.disks` must not be empty."""
    return [
        QEMU,
        *("-name", spec.vm_id),
        *("-machine", "q35"),
        *around.accelerator.arguments(),
        *("-m", str(MEMORY_MIB)),
        *("-nodefaults", "-no-user-config", "-display", "none"),
        *("-smbios", f"type=1,manufacturer=3DS Outscale,product=3DS Outscale VM,serial={spec.vm_id}"),
        *("-chardev", f"socket,id=qmp,fd={around.qmp_fd}", "-mon", "chardev=qmp,mode=control"),
        *("-chardev", f"file,id=console,path={_comma(console_log(around.folder))}", "-serial", "chardev:console"),
        *("-device", "virtio-rng-pci"),
        *("-netdev", _netdev(spec, around), "-device", "virtio-net-pci,netdev=net0,romfile="),
        *_firmware(spec, around.folder),
        *_disks(spec, around.volumes),
    ]


def console_log(folder: Path) -> Path:
    """The serial console's file of the VM that has this folder."""
    return folder / "console.log"


def uefi_variables(folder: Path) -> Path:
    """The VM's own copy of the firmware's variables."""
    return folder / "uefi-variables.fd"


def _netdev(spec: MachineSpec, around: Surroundings) -> str:
    # QEMU starts `cmd:` anew for each connection; its `tcp:` form shares one and hangs at the second request.
    metadata = f"guestfwd=tcp:169.254.169.254:80-cmd:{around.socat} - TCP:127.0.0.1:{around.metadata_port}"
    forward = f",hostfwd=tcp:{spec.public_ip}:{spec.ssh_port}-{GUEST_ADDRESS}:22" if spec.public_ip else ""
    return f"user,id=net0,{NETWORK}{forward},{metadata}"


def _firmware(spec: MachineSpec, folder: Path) -> list[str]:
    if spec.firmware == "legacy":
        return []
    if spec.firmware != "uefi":
        raise MachineError(f"VM {spec.vm_id}: firmware {spec.firmware!r}; allowed are legacy and uefi")
    return [
        *("-drive", f"if=pflash,format=raw,readonly=on,file={UEFI_CODE}"),
        *("-drive", f"if=pflash,format=raw,file={_comma(uefi_variables(folder))}"),
    ]


def _disks(spec: MachineSpec, volumes: dict[str, Path]) -> list[str]:
    root, *others = spec.disks
    plugs = [attachment(disk) for disk in others]
    command = [
        *("-blockdev", json.dumps(block_node("node-root", volumes[root.volume_id]))),
        *("-device", f"virtio-scsi-pci,id={SCSI_BUS}"),
        *("-device", json.dumps({**_ROOT_DEVICES[spec.root_bus], **_ROOT})),
    ]
    for plug in plugs:
        command += ["-blockdev", json.dumps(block_node(plug.node, volumes[plug.disk.volume_id]))]
        command += ["-device", json.dumps(scsi_device(plug))]
    return command


def _comma(path: Path) -> str:
    """A path in QEMU's key=value form, where a comma is doubled."""
    return str(path).replace(",", ",,")
