"""Chooses how QEMU runs VMs: with KVM, on the processor itself, or by emulation (TCG), which works on every machine."""

from __future__ import annotations

import logging
import os
import threading
from collections.abc import Callable
from enum import Enum

log = logging.getLogger("sandbox")

QEMU = "qemu-system-x86_64"
AUTO = "auto"
VARIABLE = "ALPINE_OMI_ACCELERATOR"
"""The default of `--accelerator`, for the tests, CI and `make demo`."""


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


ACCELERATORS = (AUTO, *(each.value for each in Accelerator))


def default_accelerator() -> str:
    """The environment's choice, else `auto`."""
    return os.environ.get(VARIABLE) or AUTO


class Choice:
    """The accelerator of VMs: KVM until it fails for one of them, then emulation for all."""

    def __init__(
        self, accelerator: Accelerator, why: str = "", remember: Callable[[str], None] = lambda why: None
    ) -> None:
        self._guard = threading.Lock()
        self._accelerator, self._why, self._remember = accelerator, why, remember

    @property
    def current(self) -> Accelerator:
        """The accelerator of the next VM."""
        return self._accelerator

    @property
    def why(self) -> str:
        """Why it was chosen; empty for a KVM that works."""
        return self._why

    def give_up_kvm(self, why: str) -> None:
        """Use emulation from now on. The first time, this is logged and remembered for later starts."""
        with self._guard:
            if self._accelerator is Accelerator.TCG:
                return
            self._accelerator, self._why = Accelerator.TCG, why
            log.warning("%s", self)
            self._remember(why)

    def __str__(self) -> str:
        """The accelerator and the reason in words."""
        because = f": {self._why}" if self._why else ""
        name = "KVM" if self._accelerator is Accelerator.KVM else "software emulation (TCG), several times slower"
        return f"VMs run by {name}{because}"
