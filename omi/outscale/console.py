"""Watches the serial console of a booting VM: if it stays empty, nobody need wait for SSH."""

from __future__ import annotations

import time

from omi.outscale.client import Cloud
from omi.outscale.vms import console_tail
from omi.support.errors import OmiError

_CURE = (
    "the sandbox's VMs: `python -m sandbox stop`, then `python -m sandbox start --accelerator tcg`; "
    "on OUTSCALE: try another VM type or source OMI"
)


class EmptyConsole:
    """Notices that a VM never began to boot: its console is empty `cloud.limits.console` seconds after this object was
    made.

    The first byte came after 0.4 s by BIOS and 4.6 s by UEFI under emulation, with eight other VMs on the two cores;
    OUTSCALE shows it within two seconds. A console that can't be read proves nothing.
    """

    def __init__(self, cloud: Cloud, vm_id: str) -> None:
        self._cloud, self._vm_id = cloud, vm_id
        self._due = time.monotonic() + cloud.limits.console
        self._settled = False

    def reason(self) -> str | None:
        """Why it is useless to wait, with the cure. Asks the cloud once, when the limit is over."""
        if self._settled or time.monotonic() < self._due:
            return None
        self._settled = True
        try:
            if console_tail(self._cloud, self._vm_id, 1):
                return None
        except OmiError:
            return None
        limit = f"{self._cloud.limits.console} s (cloud.limits.console)"
        return f"nothing came to the console of {self._vm_id} within {limit}, so it does not boot; {_CURE}"
