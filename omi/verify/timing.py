"""Where the seconds of a boot went: before the kernel, in it, in the initramfs, and in each service.

The kernel's stages are from its own log. OpenRC starts one service after the other and marks each that is up with a
link, at that time; what lies between two marks is counted for the later one. Services that set the clock shift
what came before them.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

from omi.verify.facts import Facts

_LOG = re.compile(r"(\w+) \[\s*(\d+\.\d+)\]")
_MARK = re.compile(r"(\S+) (\d+) \d{4}-\d\d-\d\d \d\d:\d\d:\d\d(\.\d+)")


@dataclass(frozen=True)
class BootStage:
    """One part of the boot; both in seconds, `ended` since the kernel began."""

    name: str
    seconds: float
    ended: float


@dataclass(frozen=True)
class BootTiming:
    """The stages in their order; `before` is what passed from the VM's start until the kernel began, if it is known."""

    before: float | None
    stages: tuple[BootStage, ...]

    @classmethod
    def of(cls, facts: Facts, ssh_seconds: float) -> BootTiming:
        """From the probes of a booted image; `ssh_seconds` from the VM's start to its SSH banner."""
        ends = [*_kernel(facts.values.get("stage", ())), *_services(facts)]
        stages, last = [], 0.0
        for name, ended in ends:
            stages.append(BootStage(name, max(ended - last, 0.0), ended))
            last = max(ended, last)
        sshd = next((ended for name, ended in ends if name == "sshd"), None)
        before = None if sshd is None else max(ssh_seconds - sshd, 0.0)
        return cls(before, tuple(stages))

    def table(self) -> str:
        """For people: seconds of each stage and when it ended; empty where nothing is known."""
        if not self.stages:
            return ""
        rows = [f"{'SECONDS':>8}  {'ENDED AT':>8}  STAGE"]
        if self.before is not None:
            rows.append(f"{self.before:8.2f}  {'':>8}  VM, firmware and boot loader, and what SSH took to answer")
        rows += [f"{stage.seconds:8.2f}  {stage.ended:8.2f}  {stage.name}" for stage in self.stages]
        return "\n".join(rows) + "\n"


def _kernel(lines: Iterable[str]) -> list[tuple[str, float]]:
    return [(match[1], float(match[2])) for line in lines if (match := _LOG.match(line))]


def _services(facts: Facts) -> list[tuple[str, float]]:
    """Each service's name and when it was up, in seconds since the kernel began; in that order."""
    now = _MARK.match(f"now {facts.one('clock')}")
    if now is None:
        return []
    began = _seconds(now) - float(facts.one("uptime") or 0)
    marks = [match for line in facts.values.get("mark", ()) if (match := _MARK.match(line))]
    return sorted(((match[1], _seconds(match) - began) for match in marks), key=lambda each: each[1])


def _seconds(mark: re.Match[str]) -> float:
    return int(mark[2]) + float(mark[3])
