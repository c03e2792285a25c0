"""The report on a boot, from the facts of a VM that ran under emulation."""

from __future__ import annotations

import pytest

from omi.verify.facts import Facts
from omi.verify.timing import BootStage, BootTiming

FACTS = """\
uptime=29.93
clock=1795547901 2026-11-24 19:01:41.430000306
stage=kernel [    1.941561] Run /init as init process
stage=initramfs [    7.003927] EXT4-fs (vda): mounted filesystem 2a9de81e-d97c-4e67-8368-96f1970881ea ro
mark=acpid 1795547896 2026-11-24 19:01:36.530000211
mark=devfs 1795547881 2026-11-24 19:01:21.551545071
mark=dmesg 1795547881 2026-11-24 19:01:21.884545079
mark=networking 1795547895 2026-11-24 19:01:35.248000183
mark=sshd 1795547899 2026-11-24 19:01:39.055000267
mark=syslog 1795547895 2026-11-24 19:01:35.699000193
"""


def test_each_stage_gets_the_seconds_that_passed_since_the_one_before() -> None:
    timing = BootTiming.of(Facts.parse(FACTS), 29.2)
    names = [stage.name for stage in timing.stages]
    assert names == ["kernel", "initramfs", "devfs", "dmesg", "networking", "syslog", "acpid", "sshd"]
    seconds = {stage.name: round(stage.seconds, 2) for stage in timing.stages}
    assert (seconds["kernel"], seconds["initramfs"], seconds["devfs"]) == (1.94, 5.06, 3.05)
    assert (seconds["syslog"], seconds["acpid"], seconds["sshd"]) == (0.45, 0.83, 2.53)
    assert sum(seconds.values()) == pytest.approx(timing.stages[-1].ended, abs=0.05)
    assert timing.before is not None
    assert timing.before == pytest.approx(1.645, abs=0.01)


def test_the_report_names_every_stage_once() -> None:
    lines = BootTiming.of(Facts.parse(FACTS), 29.2).table().splitlines()
    assert lines[1].split()[:1] == ["1.64"]
    assert lines[3].split() == ["5.06", "7.00", "initramfs"]
    assert lines[-1].split() == ["2.53", "27.56", "sshd"]
    assert len(lines) == 1 + 1 + 8


def test_a_clock_that_was_set_meanwhile_gives_no_negative_times() -> None:
    stages = BootTiming.of(Facts.parse(FACTS.replace("=devfs 1795547881", "=devfs 1795547871")), 29.2).stages
    assert "devfs" in [stage.name for stage in stages]
    assert min(stage.seconds for stage in stages) >= 0


def test_what_is_not_told_is_left_out() -> None:
    assert BootTiming.of(Facts.parse("uptime=3.0\n"), 9.0).table() == ""
    kernel = BootTiming.of(Facts.parse("stage=kernel [    1.5] Run /init as init process\n"), 9.0)
    assert kernel == BootTiming(None, (BootStage("kernel", 1.5, 1.5),))
