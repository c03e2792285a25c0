"""Which accelerator QEMU runs VMs with: KVM where a guest really runs under it, else emulation (TCG)."""

from __future__ import annotations

import os
import subprocess
import tempfile
from enum import Enum
from pathlib import Path

QEMU = "qemu-system-x86_64"
PROBE_LIMIT_S = 10.0
OVERRIDE = "ALPINE_OMI_ACCELERATOR"
# `mov al,0x10; out 0xf4,al; hlt; jmp $-1` at the reset vector: the debug-exit device ends QEMU with 2 * 0x10 + 1.
_ROM = bytes.fromhex("b010e6f4f4ebfd").join((b"\xff" * 0xFFF0, b"\xff" * 9))
_ROM_EXIT = 0x10 * 2 + 1


class Accelerator(Enum):
    """QEMU's accelerators that the local cloud uses."""

    KVM = "kvm"
    TCG = "tcg"

    def arguments(self) -> list[str]:
        """QEMU's arguments. One CPU a VM and one thread: the fastest on two cores, and the steadiest, where measured.

        The translation buffer is small (MiB) because a page of the guest that once held code is slow to overwrite until
        the buffer is emptied: an Alpine OMI boots to SSH in 30 CPU seconds with 64 MiB, in 48 with 256.
        """
        accel = "kvm" if self is Accelerator.KVM else "tcg,thread=single,tb-size=64"
        return ["-accel", accel, "-cpu", "max", "-smp", "1"]


def detect(device: Path = Path("/dev/kvm"), qemu: str = QEMU) -> Accelerator:
    """KVM when a guest of a few instructions runs to its end under it, as VMs are started; else TCG.

    A /dev/kvm that can be opened and even makes a VM may still run nothing, so nothing less is asked. The environment
    variable ALPINE_OMI_ACCELERATOR (`kvm` or `tcg`) overrules the probe. Takes 0.1 s, at most PROBE_LIMIT_S.
    """
    wanted = os.environ.get(OVERRIDE, "")
    if wanted in {accelerator.value for accelerator in Accelerator}:
        return Accelerator(wanted)
    usable = os.access(device, os.R_OK | os.W_OK)
    return Accelerator.KVM if usable and guest_runs(Accelerator.KVM, qemu) else Accelerator.TCG


def guest_runs(accelerator: Accelerator, qemu: str = QEMU) -> bool:
    """Whether QEMU runs a guest of four instructions to its end with this accelerator."""
    with tempfile.NamedTemporaryFile(prefix="probe-", suffix=".rom") as rom:
        rom.write(_ROM)
        rom.flush()
        exit_device = "isa-debug-exit,iobase=0xf4,iosize=1"
        command = [qemu, "-machine", "q35", *accelerator.arguments(), "-m", "16", "-nodefaults", "-display", "none"]
        try:
            done = subprocess.run(
                [*command, "-bios", rom.name, "-device", exit_device],
                stdin=subprocess.DEVNULL,
                capture_output=True,
                timeout=PROBE_LIMIT_S,
                check=False,
            )
        except (OSError, subprocess.TimeoutExpired):
            return False
    return done.returncode == _ROM_EXIT
