"""Images that the guest's scripts make on a loop device, booted in real VMs."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from sandbox.machines.protocol import Disk, MachineSpec, Metadata
from sandbox.machines.qemu import QemuMachines
from tests.guest.test_build import build, loop_device
from tests.sandbox.machines.guest import SSH_PORT, Guest

IMAGE = "snap-image"
WAIT = """
for i in $(seq 100); do
	[ "$(/sbin/tiny-cloud --bootstrap status)" != complete ] || exit 0
	sleep 1
done
exit 1
"""
"""A command that ends once the set-up is complete."""


@contextmanager
def machines_with_image(
    folder: Path, mirror: Path, values: Mapping[str, str], change: Callable[[Path], None] = lambda _: None
) -> Iterator[QemuMachines]:
    """Machines that have the snapshot IMAGE of an image, which is built in `folder`; see `build`.

    `change` does something to the finished disk.
    """
    with loop_device(folder / "disk") as device:
        done = build(folder, device, mirror, **values)
        assert done.returncode == 0, done.stdout + done.stderr
        change(device)
    machines = QemuMachines(folder / "home")
    try:
        machines.import_snapshot(IMAGE, str(folder / "disk"))
        yield machines
    finally:
        machines.close()
        shutil.rmtree(folder)


def start(guest: Guest, volume: str, name: str, user_data: bytes = b"", firmware: str = "legacy") -> float:
    """Seconds until SSH answers, at most the rest of what Guest.wait grants."""
    entries = {
        "meta-data/instance-id": guest.vm_id.encode(),
        "meta-data/local-hostname": f"{name}.eu-west-2.compute.internal".encode(),
        "meta-data/public-keys/0/openssh-key": guest.key.with_suffix(".pub").read_bytes(),
    }
    spec = MachineSpec(guest.vm_id, guest.ip, SSH_PORT, (Disk(volume, "/dev/sda1"),), firmware)
    guest.machines.start_vm(spec, Metadata({**entries, "user-data": user_data} if user_data else entries))
    return guest.wait()
