"""Whether KVM runs the VMs: asked once of the source OMI itself, the answer kept in the cache.

A /dev/kvm that can be opened, and even one that runs a few instructions, may stop every real VM before its first
console byte, as nested and paravirtual ones do. So nothing less counts than a system that reaches its console.
"""

from __future__ import annotations

import grp
import hashlib
import json
import logging
import os
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from sandbox.environment import plain
from sandbox.machines.accelerator import AUTO, QEMU, Accelerator, Choice
from sandbox.machines.disks import make_overlay
from sandbox.machines.protocol import Disk, MachineError, MachineSpec, Metadata
from sandbox.machines.vm import Machine

log = logging.getLogger("sandbox")

DEVICE = Path("/dev/kvm")
PROBE_LIMIT_S = 60.0
"""For the source OMI to reach its console: about 5 s under a KVM that works, 18 s even without any."""
_EVERY_S = 0.1
_SYSTEM = b"Linux"
"""On the console once the kernel runs: the boot loader before it writes no such word."""

Progress = Callable[[str], None]


@dataclass(frozen=True)
class KvmAnswer:
    """Whether KVM runs the source OMI, and why not."""

    works: bool
    why: str = ""


class AnswerCache:
    """The answers of this machine in a cache folder: another processor, kernel or QEMU is asked anew."""

    def __init__(self, cache: Path) -> None:
        digest = hashlib.sha256("\n".join(_machine()).encode()).hexdigest()[:16]
        self._file = cache / "kvm" / f"{digest}.json"

    def read(self) -> KvmAnswer | None:
        """The answer of last time; None where nobody asked yet or it can't be read."""
        try:
            known = json.loads(self._file.read_text(encoding="utf-8"))
            return KvmAnswer(bool(known["works"]), str(known["why"]))
        except (OSError, ValueError, KeyError, TypeError):
            return None

    def write(self, answer: KvmAnswer) -> None:
        """Keep it, whole or not at all; where it can't be kept, the next start asks again."""
        new = self._file.with_suffix(f".{os.getpid()}")
        content = {"works": answer.works, "why": answer.why, "machine": _machine()}
        try:
            self._file.parent.mkdir(parents=True, exist_ok=True)
            new.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")
            new.replace(self._file)
        except OSError as error:
            log.warning("%s: %s; whether KVM works is not remembered", self._file, error.strerror)

    @property
    def file(self) -> Path:
        """Where the answer is kept; deleting it has KVM tried again."""
        return self._file


def choose(wanted: str, cache: Path, disk: Callable[[], Path], progress: Progress, device: Path = DEVICE) -> Choice:
    """The accelerator for `wanted` (auto, kvm or tcg); `disk` gives the source OMI's, for the case that it's needed.

    Raises MachineError where KVM is asked for by name and can't be opened.
    """
    if wanted == Accelerator.TCG.value:
        return Choice(Accelerator.TCG, "as --accelerator says")
    memory = AnswerCache(cache)
    unusable = why_unusable(device)
    if unusable and wanted != AUTO:
        raise MachineError(f"--accelerator {wanted}: {unusable}, or give --accelerator auto or tcg")
    if unusable:
        return Choice(Accelerator.TCG, unusable)

    def remember(why: str) -> None:
        memory.write(KvmAnswer(works=False, why=why))

    if wanted != AUTO:
        return Choice(Accelerator.KVM, "as --accelerator says", remember)
    answer = memory.read()
    if answer is None:
        progress("trying whether KVM runs the source OMI (once)")
        answer = ask(disk())
        memory.write(answer)
    if answer.works:
        return Choice(Accelerator.KVM, "", remember)
    return Choice(Accelerator.TCG, f"{answer.why}; delete {memory.file} to have KVM tried again")


def ask(disk: Path) -> KvmAnswer:
    """Start a VM of this disk (which isn't written to) under KVM and wait until its system is on the console."""
    with tempfile.TemporaryDirectory(prefix="kvm-") as name, _started(disk, Path(name)) as (vm, choice):
        end = time.monotonic() + PROBE_LIMIT_S
        while choice.current is Accelerator.KVM and vm.running() and time.monotonic() < end:
            if _SYSTEM in vm.console():
                return KvmAnswer(works=True)
            time.sleep(_EVERY_S)
        if choice.current is not Accelerator.KVM:
            return KvmAnswer(works=False, why=choice.why)
        if not vm.running():
            return KvmAnswer(works=False, why="the source OMI's VM ended under KVM before its system was up")
        seen = "only its boot loader" if vm.console() else "nothing"
        return KvmAnswer(works=False, why=f"under KVM the source OMI's console had {seen} after {PROBE_LIMIT_S:.0f} s")


@contextmanager
def _started(disk: Path, folder: Path) -> Iterator[tuple[Machine, Choice]]:
    overlay = folder / "disk.qcow2"
    make_overlay(disk, overlay)
    choice, vm = Choice(Accelerator.KVM), Machine("kvm-probe", folder / "vm")
    try:
        root = Disk("root", "/dev/sda1")
        vm.start(MachineSpec(vm.vm_id, "", 0, (root,)), Metadata({}), {root.volume_id: overlay}, choice)
        yield vm, choice
    finally:
        vm.close()


def why_unusable(device: Path) -> str:
    """Why the device can't be used, with the cure; empty if it can be opened."""
    try:
        with device.open("r+b", buffering=0):
            return ""
    except FileNotFoundError:
        return f"there is no {device}: this machine has no KVM, or its module isn't loaded"
    except PermissionError:
        return f"{device} may not be opened by this user: {_way_in(device)}"
    except OSError as error:
        return f"{device} can't be opened ({error.strerror})"


def _way_in(device: Path) -> str:
    """The way to give a user the device."""
    status = device.stat()
    group = grp.getgrgid(status.st_gid).gr_name
    if status.st_gid and status.st_mode & 0o060 == 0o060:
        return f"join its group (as root `usermod -aG {group} USER`, then log in anew)"
    return f"its mode gives it to nobody but root (as root `chgrp kvm {device} && chmod 660 {device}`)"


def _machine() -> tuple[str, str, str]:
    """The machine that an answer holds for: processor, kernel, QEMU."""
    cpu = next((line for line in _cpuinfo() if line.startswith("model name")), "").partition(":")[2].strip()
    try:
        done = subprocess.run([QEMU, "--version"], env=plain(), capture_output=True, text=True, timeout=30, check=False)
        qemu = done.stdout.partition("\n")[0]
    except (OSError, subprocess.TimeoutExpired):
        qemu = ""
    return cpu, os.uname().release, qemu


def _cpuinfo() -> list[str]:
    try:
        return Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return []
