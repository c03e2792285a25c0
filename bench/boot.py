"""Compares boots to SSH: an Alpine OMI against the same one with only upstream's settings.

    . toolchain/env.sh; python -m bench.boot [--runs N] [IMAGE]

IMAGE is a disk that boots by BIOS, with the user `alpine`; without it the newest Alpine OMI of the running sandbox is
taken. The other is a copy of it without the settings that have a boot wait less (docs/image-files.md): dhcpcd and
network as packaged, OpenRC's order, no service before tiny-cloud's. Both have the provider for OUTSCALE, without which
nobody could log in, and make an ed25519 host key alone: how long an RSA key takes is chance.

QEMU counts instructions (`-icount`), each four nanoseconds of the guest's clock, so it matters little how busy this
machine is; while the guest waits its clock follows the machine's. The figure is what that clock shows when sshd starts
to listen, counted from the kernel's start. It is reported and has no goal.
"""

from __future__ import annotations

import argparse
import json
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from omi.verify.ssh import Door, wait_for_banner
from sandbox.config import DEFAULT_BASE_PORT, Addresses, default_home
from sandbox.machines.accelerator import Accelerator
from sandbox.machines.command import Surroundings, console_log, qemu_command
from sandbox.machines.metadata import MetadataService
from sandbox.machines.protocol import Disk, MachineSpec
from tests.sandbox.client import Oapi
from tests.sandbox.machines.guest import SSH_PORT, address, metadata, new_key

GUEST = Path(__file__).resolve().parent.parent / "guest"
LIMIT = 600.0
"""Seconds that one boot may take, by this machine's clock."""
TOOL_LIMIT = 120.0
USER = "alpine"
INSTRUCTIONS = ("-icount", "shift=2,sleep=on")
"""Four nanoseconds each, about as fast as emulation is."""
STARTED = 'cut -d" " -f22 "/proc/$(cat /run/sshd.pid)/stat"; getconf CLK_TCK'
"""In proc(5): when a process started, in ticks since the boot."""
INTERFACES = "auto lo\niface lo inet loopback\n\nauto eth0\niface eth0 inet dhcp\n"
ONLY_OURS = ("/etc/rc.conf.d/omi.conf", "/etc/runlevels/default/outscale-instance")


def upstreams(image: Path, copy: Path) -> None:
    """Write a copy of a disk whose root filesystem lacks the settings that have a boot wait less."""
    _run("qemu-img", "convert", "-O", "raw", str(image), str(copy))
    root = _root_of(copy)
    dhcpcd = _debugfs(root, "cat /etc/dhcpcd.conf")
    kept = {
        "/etc/dhcpcd.conf": dhcpcd.partition((GUEST / "files/dhcpcd.conf").read_text(encoding="utf-8"))[0],
        "/etc/network/interfaces": INTERFACES,
    }
    if dhcpcd == kept["/etc/dhcpcd.conf"]:
        raise SystemExit(f"{image}: /etc/dhcpcd.conf lacks this project's settings; name a disk that it built")
    with _folder() as folder:
        for number, (path, text) in enumerate(kept.items()):
            (folder / str(number)).write_text(text, encoding="utf-8")
            _debugfs(root, f"rm {path}", f"write {folder / str(number)} {path}")
    _debugfs(root, *(f"rm {path}" for path in ONLY_OURS))


def seconds_to_ssh(disk: Path, folder: Path) -> float:
    """Boot a copy of the disk as the sandbox boots an OMI; the guest's clock when sshd starts to listen."""
    _run("qemu-img", "create", "-q", "-f", "qcow2", "-b", str(disk), "-F", _kind(disk), str(folder / "top"))
    key = new_key(folder)
    spec = MachineSpec("i-1", address(9), SSH_PORT, (Disk("vol-1", "/dev/sda1"),))
    ours, theirs = socket.socketpair()
    with ours, theirs, closing(MetadataService(metadata(spec.vm_id, key))) as service:
        volumes = {"vol-1": folder / "top"}
        around = Surroundings(Accelerator.TCG, volumes, folder, service.port, theirs.fileno(), _tool("socat"))
        command = [*qemu_command(spec, around), *INSTRUCTIONS]
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, pass_fds=[theirs.fileno()])
        try:
            if not wait_for_banner(spec.public_ip, SSH_PORT, LIMIT):
                console = console_log(folder).read_bytes()[-1000:].decode(errors="replace")
                raise SystemExit(f"{disk}: no SSH within {LIMIT:.0f} s:\n{console}")
            door = Door(spec.public_ip, SSH_PORT, USER, key)
            answer = door.run(STARTED, TOOL_LIMIT)
        finally:
            process.kill()
            process.wait()
    if answer.exit_code:
        raise SystemExit(f"{disk}: {USER} can't ask when sshd started: {answer.errors}")
    started, ticks = (int(line) for line in answer.output.split())
    return started / ticks


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


def _root_of(disk: Path) -> str:
    """The root filesystem of a raw disk, as debugfs names it."""
    shown = subprocess.run(["sfdisk", "--json", disk], capture_output=True, text=True, timeout=TOOL_LIMIT, check=False)
    table = json.loads(shown.stdout)["partitiontable"] if shown.returncode == 0 else {}
    # a boot sector in the filesystem passes for a table, too, though not for a GPT
    return f"{disk}?offset={table['partitions'][1]['start'] * 512}" if table.get("label") == "gpt" else str(disk)


def _debugfs(filesystem: str, *requests: str) -> str:
    """Its output; every request has to succeed."""
    output = ""
    for request in requests:
        done = _run("debugfs", "-w", "-R", request, filesystem)
        wrong = [line for line in done.stderr.splitlines() if line and not line.startswith("debugfs ")]
        if wrong:
            raise SystemExit(f"debugfs {request}: {' '.join(wrong)}")
        output += done.stdout
    return output


def _kind(disk: Path) -> str:
    return str(json.loads(_run("qemu-img", "info", "--output", "json", str(disk)).stdout)["format"])


def _run(*command: str) -> subprocess.CompletedProcess[str]:
    done = subprocess.run(command, capture_output=True, text=True, timeout=TOOL_LIMIT, check=False)
    if done.returncode:
        raise SystemExit(f"{' '.join(command)}: {done.stderr.strip()}")
    return done


def _tool(name: str) -> str:
    found = shutil.which(name)
    if found is None:
        raise SystemExit(f"{name} is missing: apt-get install {name}")
    return found


@contextmanager
def _folder() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="omi-boot-") as name:
        yield Path(name)


def compare(image: Path, runs: int) -> tuple[float, float]:
    """The median of the image's seconds to SSH, and that of the other's; prints each."""
    taken: dict[str, list[float]] = {"this image": [], "with only upstream's settings": []}
    with _folder() as place:
        upstreams(image, place / "other")
        for _ in range(runs):
            for (what, seconds), disk in zip(taken.items(), (image, place / "other"), strict=True):
                with _folder() as folder:
                    seconds.append(seconds_to_ssh(disk.resolve(), folder))
                print(f"{what}: SSH after {seconds[-1]:.2f} s of the guest's clock", flush=True)
    ours, other = (statistics.median(seconds) for seconds in taken.values())
    return ours, other


def main() -> int:
    """Print one line for each boot, then both medians."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("image", nargs="?", type=Path, help="a disk image instead of the sandbox's newest OMI")
    parser.add_argument("--runs", type=int, default=3, help="boots of each (default: %(default)s)")
    given = parser.parse_args()
    ours, other = compare(given.image or newest_omi(), given.runs)
    print(f"SSH after {ours:.2f} s, with only upstream's settings after {other:.2f} s: {other - ours:.2f} s spared")
    return 0


if __name__ == "__main__":
    sys.exit(main())
