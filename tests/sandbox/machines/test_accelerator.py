"""Which accelerator VMs get, where KVM is absent, shut, working or works half; by a QEMU that fails as it's told."""

from __future__ import annotations

import errno
import grp
import json
import logging
import os
import shutil
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from sandbox.machines import kvm
from sandbox.machines.accelerator import Accelerator, Choice
from sandbox.machines.kvm import choose
from sandbox.machines.protocol import Disk, MachineError, MachineSpec, Metadata
from sandbox.machines.qemu import QemuMachines
from tests.sandbox.machines import fake_qemu

LIMIT = 20.0
ROOT = Disk("vol-root", "/dev/sda1")
DATA = Disk("vol-data", "/dev/xvdf")
BROKEN = ("stops", "panics", "aborts", "refuses")
CAUSE = {
    "stops": "internal-error",
    "panics": "guest-panicked",
    "aborts": "failed to set MSR",
    "refuses": "failed to initialize kvm",
}


@dataclass
class Host:
    """A machine with a fake QEMU on its PATH and a KVM device that can be opened."""

    folder: Path
    said: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.tools.mkdir()
        program = Path(fake_qemu.__file__).read_text().replace("/usr/bin/env python3", sys.executable, 1)
        (self.tools / "qemu-system-x86_64").write_text(program)
        (self.tools / "qemu-system-x86_64").chmod(0o755)
        self.device.touch()
        self.kvm("works")

    @property
    def tools(self) -> Path:
        return self.folder / "tools"

    @property
    def device(self) -> Path:
        return self.folder / "kvm-device"

    def kvm(self, fate: str) -> None:
        (self.tools / "kvm").write_text(fate)

    def runs(self) -> list[Any]:
        runs = self.tools / "runs"
        return [json.loads(line) for line in runs.read_text().splitlines()] if runs.exists() else []

    def ran_by(self) -> list[str]:
        return [run["accelerator"] for run in self.runs()]

    def choose(self, wanted: str = "auto") -> Choice:
        return choose(wanted, self.folder / "cache", self._disk, self.said.append, self.device)

    def _disk(self) -> Path:
        disk = self.folder / "source.qcow2"
        QemuMachines(self.folder / "source").create_volume("vol-1", 1, None)
        (self.folder / "source" / "volumes" / "vol-1.qcow2").rename(disk)
        return disk


@pytest.fixture
def host(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Host:
    made = Host(tmp_path)
    monkeypatch.setenv("PATH", f"{made.tools}:{os.environ['PATH']}")
    return made


@pytest.fixture
def machines(host: Host) -> Iterator[QemuMachines]:
    """Machines under a KVM that nobody has tried yet."""
    made = QemuMachines(host.folder / "home", Accelerator.KVM)
    for disk in (ROOT, DATA):
        made.create_volume(disk.volume_id, 1, None)
    yield made
    made.stop_vm("i-1", force=True)
    made.close()


def start(machines: QemuMachines) -> None:
    machines.start_vm(MachineSpec("i-1", "", 2222, (ROOT,)), Metadata({}))


def wait(done: Callable[[], bool], limit: float = LIMIT) -> None:
    end = time.monotonic() + limit
    while not done():
        assert time.monotonic() < end, "it did not come about"
        time.sleep(0.02)


def test_without_a_kvm_device_vms_are_emulated_and_nothing_is_tried(host: Host) -> None:
    host.device.unlink()
    chosen = host.choose()
    assert chosen.current is Accelerator.TCG
    assert f"there is no {host.device}" in str(chosen)
    assert host.runs() == []


@pytest.mark.parametrize(("mode", "cure"), [(0o660, "usermod -aG GROUP USER"), (0o600, "chmod 660")])
def test_a_device_that_may_not_be_opened_is_named_with_the_cure(
    host: Host, monkeypatch: pytest.MonkeyPatch, mode: int, cure: str
) -> None:
    group = grp.getgrgid(1)
    host.device.chmod(mode)
    monkeypatch.setattr(Path, "stat", lambda path: os.stat_result((mode, 0, 0, 1, 0, group.gr_gid, 0, 0, 0, 0)))
    cure = cure.replace("GROUP", group.gr_name)

    def shut(*_: object, **__: object) -> None:
        raise PermissionError(errno.EACCES, "Permission denied", str(host.device))

    with monkeypatch.context() as patch:
        patch.setattr(Path, "open", shut)
        reason = kvm.why_unusable(host.device)
    assert reason.startswith(f"{host.device} may not be opened by this user: ")
    assert cure in reason


def test_a_device_that_is_none_is_emulated(host: Host) -> None:
    host.device.unlink()
    host.device.mkdir()
    assert host.choose().current is Accelerator.TCG


def test_kvm_is_used_where_the_source_omi_reaches_its_console_and_is_asked_once(host: Host) -> None:
    assert host.choose().current is Accelerator.KVM
    assert host.choose().current is Accelerator.KVM
    assert host.ran_by() == ["kvm"]
    assert host.said == ["trying whether KVM runs the source OMI (once)"]
    assert not _alive(host.runs()[0]["pid"]), "the probe's VM has ended"


@pytest.mark.parametrize("fate", BROKEN)
def test_a_kvm_that_fails_the_source_omi_is_not_used_and_is_remembered(host: Host, fate: str) -> None:
    host.kvm(fate)
    chosen = host.choose()
    assert chosen.current is Accelerator.TCG
    assert CAUSE[fate] in str(chosen)
    tried = len(host.runs())
    again = host.choose()
    assert (again.current, str(again)) == (Accelerator.TCG, str(chosen))
    assert len(host.runs()) == tried


def test_a_kvm_that_leaves_the_console_empty_is_not_used(host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kvm, "PROBE_LIMIT_S", 0.5)
    host.kvm("silent")
    chosen = host.choose()
    assert chosen.current is Accelerator.TCG
    assert "console had nothing" in str(chosen)


def test_the_answer_is_that_of_one_processor_kernel_and_qemu(host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    host.kvm("stops")
    assert host.choose().current is Accelerator.TCG
    host.kvm("works")
    program = host.tools / "qemu-system-x86_64"
    program.write_text(program.read_text().replace("9.9.9 (fake)", "10.0.0 (fake)"))
    assert host.choose().current is Accelerator.KVM


def test_the_remembered_answer_names_what_to_delete_to_ask_again(host: Host) -> None:
    host.kvm("stops")
    host.choose()
    (known,) = (host.folder / "cache" / "kvm").iterdir()
    assert f"delete {known} to have KVM tried again" in str(host.choose())
    known.unlink()
    host.kvm("works")
    assert host.choose().current is Accelerator.KVM


def test_an_answer_that_cannot_be_read_is_asked_anew(host: Host) -> None:
    host.choose()
    (known,) = (host.folder / "cache" / "kvm").iterdir()
    for text in ("", "[]", '{"works": true}', "\0"):
        known.write_text(text)
        assert host.choose().current is Accelerator.KVM
    assert len(host.runs()) == 5


def test_what_is_asked_for_by_name_is_taken_without_a_trial(host: Host) -> None:
    assert host.choose("tcg").current is Accelerator.TCG
    assert host.choose("kvm").current is Accelerator.KVM
    assert host.runs() == []


def test_kvm_by_name_without_a_device_is_refused_with_the_cure(host: Host) -> None:
    host.device.unlink()
    with pytest.raises(MachineError, match=r"^--accelerator kvm: there is no .*give --accelerator auto or tcg$"):
        host.choose("kvm")


@pytest.mark.parametrize("fate", BROKEN)
def test_a_vm_that_kvm_fails_is_started_again_by_emulation(
    host: Host, machines: QemuMachines, fate: str, caplog: pytest.LogCaptureFixture
) -> None:
    host.kvm(fate)
    with caplog.at_level(logging.WARNING, "sandbox"):
        start(machines)
        wait(lambda: b"login:" in machines.console("i-1"))
    assert machines.vm_running("i-1")
    assert host.ran_by() == ["kvm", "tcg"]
    said = [record.getMessage() for record in caplog.records if "VMs run by" in record.getMessage()]
    assert len(said) == 1
    assert CAUSE[fate] in said[0]


def test_it_counts_as_running_all_the_while(host: Host, machines: QemuMachines) -> None:
    """Else the cloud would take it for one that powered itself off."""
    host.kvm("aborts")
    start(machines)
    while len(host.runs()) < 2 or b"login:" not in machines.console("i-1"):
        assert machines.vm_running("i-1")
    assert machines.vm_running("i-1")


def test_a_stop_is_remembered_for_the_next_start_of_the_sandbox(host: Host, machines: QemuMachines) -> None:
    machines.choice = host.choose()
    assert machines.choice.current is Accelerator.KVM
    host.kvm("stops")
    start(machines)
    wait(lambda: host.ran_by() == ["kvm", "kvm", "tcg"])
    assert host.choose().current is Accelerator.TCG
    machines.stop_vm("i-1", force=True)
    start(machines)
    assert host.ran_by()[-1] == "tcg", "and for every later VM of this one"


def test_it_is_started_again_with_the_volumes_that_it_has(host: Host, machines: QemuMachines) -> None:
    start(machines)
    machines.attach_volume("i-1", DATA)
    stopped = machines.choice
    _fall(machines)
    wait(lambda: host.ran_by() == ["kvm", "tcg"])
    assert stopped.current is Accelerator.TCG
    assert any("sdf" in device for device in host.runs()[-1]["devices"])
    with pytest.raises(MachineError, match="vol-data is in use"):
        machines.delete_volume(DATA.volume_id)


def test_one_that_was_stopped_in_the_meantime_stays_so(host: Host, machines: QemuMachines) -> None:
    start(machines)
    machines.stop_vm("i-1", force=True)
    assert not machines.vm_running("i-1")
    assert host.ran_by() == ["kvm"]


def test_standing_still_for_a_snapshot_is_no_failure(host: Host, machines: QemuMachines) -> None:
    start(machines)
    for number in range(5):
        machines.create_snapshot(f"snap-{number}", ROOT.volume_id)
    assert machines.vm_running("i-1")
    assert host.ran_by() == ["kvm"]


def test_one_whose_disk_cannot_be_written_is_ended_with_the_cure(
    host: Host, machines: QemuMachines, caplog: pytest.LogCaptureFixture
) -> None:
    host.kvm("full")
    with caplog.at_level(logging.WARNING, "sandbox"):
        start(machines)
        wait(lambda: not machines.vm_running("i-1"))
    assert "VM i-1 is ended: its disk could not be written (run state io-error): free space" in caplog.text
    assert host.ran_by() == ["kvm"]
    assert machines.choice.current is Accelerator.KVM


def test_an_end_that_is_not_kvms_is_said_as_it_is(host: Host, machines: QemuMachines) -> None:
    program = host.tools / "qemu-system-x86_64"
    program.write_text("#!/bin/sh\necho 'qemu-system-x86_64: cannot set up guest memory' >&2\nexit 1\n")
    with pytest.raises(MachineError, match=r"cannot set up guest memory$"):
        start(machines)
    assert machines.choice.current is Accelerator.KVM


@pytest.mark.skipif(bool(kvm.why_unusable(kvm.DEVICE)), reason="no KVM device that can be opened on this machine")
def test_this_machines_kvm_is_answered_for(tmp_path: Path, source_disk: Any) -> None:
    """Whatever this machine's KVM does, the answer comes in time, and a VM comes up by what was chosen."""
    chosen = choose("auto", tmp_path / "cache", lambda: source_disk.path, lambda _: None)
    assert chosen.current is Accelerator.KVM or chosen.why


@pytest.mark.slow
@pytest.mark.skipif(bool(kvm.why_unusable(kvm.DEVICE)), reason="no KVM device that can be opened on this machine")
@pytest.mark.parametrize("processor", ["max", "qemu64"])
def test_a_vm_comes_up_whatever_this_machines_kvm_does(
    tmp_path: Path, source_disk: Any, monkeypatch: pytest.MonkeyPatch, processor: str
) -> None:
    """A half-working KVM has QEMU give up on the one processor, and stops the other at its first instructions."""
    program = shutil.which("qemu-system-x86_64")
    wrapper = tmp_path / "tools" / "qemu-system-x86_64"
    wrapper.parent.mkdir()
    words = f'for a; do shift; [ "$a" = max ] && a={processor}; set -- "$@" "$a"; done'
    wrapper.write_text(f'#!/bin/sh\n{words}\nexec {program} "$@"\n')
    wrapper.chmod(0o755)
    monkeypatch.setenv("PATH", f"{wrapper.parent}:{os.environ['PATH']}")
    machines = QemuMachines(tmp_path / "home", Accelerator.KVM)
    machines.import_snapshot("snap-1", str(source_disk.path))
    machines.create_volume(ROOT.volume_id, source_disk.size_gib, "snap-1")
    start(machines)
    try:
        wait(lambda: b"login:" in machines.console("i-1"), 180.0)
        assert machines.vm_running("i-1")
    finally:
        machines.stop_vm("i-1", force=True)
        machines.close()


def _fall(machines: QemuMachines) -> None:
    """End the VM's QEMU as one that gives up on KVM."""
    (run,) = [run for run in _runs_of(machines) if run["accelerator"] == "kvm"]
    os.kill(run["pid"], 6)


def _runs_of(machines: QemuMachines) -> list[Any]:
    runs = Path(os.environ["PATH"].split(":")[0]) / "runs"
    return [json.loads(line) for line in runs.read_text().splitlines()]


def _alive(process: int) -> bool:
    return Path(f"/proc/{process}").exists()
