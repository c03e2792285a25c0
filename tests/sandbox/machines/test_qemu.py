"""VMs without an operating system: QEMU runs the firmware, which finds nothing to boot and waits."""

from __future__ import annotations

import os
import select
import signal
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from sandbox.machines import qemu
from sandbox.machines.command import UEFI_CODE, UEFI_VARIABLES
from sandbox.machines.protocol import Disk, MachineError, MachineSpec, Metadata
from sandbox.machines.qemu import QemuMachines
from tests.sandbox.machines.guest import SSH_PORT, address

ROOT = Disk("vol-root", "/dev/sda1")
DATA = Disk("vol-data", "/dev/xvdf")
NOTHING = Metadata({})


@pytest.fixture
def spec(machines: QemuMachines) -> MachineSpec:
    machines.create_volume(ROOT.volume_id, 1, None)
    machines.create_volume(DATA.volume_id, 1, None)
    return MachineSpec("i-1", address(1), SSH_PORT, (ROOT,))


def test_a_vm_runs_until_it_is_stopped(machines: QemuMachines, spec: MachineSpec) -> None:
    assert not machines.vm_running("i-1")
    for _ in range(2):
        machines.start_vm(spec, NOTHING)
        assert machines.vm_running("i-1")
    for _ in range(2):
        machines.stop_vm("i-1", force=True)
        assert not machines.vm_running("i-1")
    machines.start_vm(spec, NOTHING)
    assert machines.vm_running("i-1")


def test_a_guest_that_ignores_the_button_loses_its_power_at_the_limit(
    machines: QemuMachines, spec: MachineSpec, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(qemu, "POWER_OFF_LIMIT_S", 1.0)
    machines.start_vm(spec, NOTHING)
    begin = time.monotonic()
    machines.stop_vm("i-1", force=False)

    assert not machines.vm_running("i-1")
    assert time.monotonic() - begin >= 1.0


def test_pulling_the_plug_cuts_a_slow_power_off_short(machines: QemuMachines, spec: MachineSpec) -> None:
    machines.start_vm(spec, NOTHING)
    slow = threading.Thread(target=lambda: machines.stop_vm("i-1", force=False))
    slow.start()
    machines.stop_vm("i-1", force=True)
    slow.join(30)

    assert not slow.is_alive()
    assert not machines.vm_running("i-1")


def test_deleting_a_vm_keeps_its_volumes(machines: QemuMachines, spec: MachineSpec, tmp_path: Path) -> None:
    machines.start_vm(spec, NOTHING)
    for _ in range(2):
        machines.delete_vm("i-1")

    assert not machines.vm_running("i-1")
    assert machines.console("i-1") == b""
    assert list((tmp_path / "home" / "vms").iterdir()) == []
    machines.start_vm(MachineSpec("i-2", address(1), SSH_PORT, (ROOT,)), NOTHING)
    assert machines.vm_running("i-2")


def test_an_address_in_use_is_named(machines: QemuMachines, spec: MachineSpec) -> None:
    said = rf"^{spec.public_ip}:{SSH_PORT} cannot be the VM's SSH address: Address already in use$"
    with socket.create_server((spec.public_ip, SSH_PORT)), pytest.raises(MachineError, match=said):
        machines.start_vm(spec, NOTHING)
    assert not machines.vm_running("i-1")


def test_a_volume_serves_one_vm_at_a_time(machines: QemuMachines, spec: MachineSpec) -> None:
    machines.start_vm(spec, NOTHING)

    with pytest.raises(MachineError, match="vol-root is in use by the running VM i-1: detach it first"):
        machines.start_vm(MachineSpec("i-2", "", SSH_PORT, (ROOT,)), NOTHING)
    with pytest.raises(MachineError, match="vol-root is in use by the running VM i-1: detach it first"):
        machines.delete_volume(ROOT.volume_id)


def test_a_volume_that_another_process_uses_is_said(machines: QemuMachines, spec: MachineSpec, tmp_path: Path) -> None:
    machines.start_vm(spec, NOTHING)
    others = QemuMachines(tmp_path / "home")

    with pytest.raises(MachineError, match="VM i-2 could not be started: another process uses one of its volumes"):
        others.start_vm(MachineSpec("i-2", "", SSH_PORT, (ROOT,)), NOTHING)
    others.close()


def test_a_vm_that_ends_at_once_says_why(
    machines: QemuMachines, spec: MachineSpec, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tools = tmp_path / "tools"
    tools.mkdir()
    broken = tools / "qemu-system-x86_64"
    broken.write_text("#!/bin/sh\necho 'qemu-system-x86_64: cannot set up guest memory' >&2\nexit 1\n")
    broken.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tools}:{os.environ['PATH']}")

    with pytest.raises(MachineError, match=r"^VM i-1 could not be started: .*: cannot set up guest memory$"):
        machines.start_vm(spec, NOTHING)


def test_missing_tools_name_their_packages(
    machines: QemuMachines, spec: MachineSpec, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tools = tmp_path / "tools"
    tools.mkdir()
    monkeypatch.setenv("PATH", str(tools))
    with pytest.raises(MachineError, match="socat is missing: apt-get install socat"):
        machines.start_vm(spec, NOTHING)

    for name in ("socat", "setpriv"):
        (tools / name).symlink_to(f"/usr/bin/{name}")
    with pytest.raises(MachineError, match="qemu-system-x86_64 is missing: apt-get install qemu-system-x86"):
        machines.start_vm(spec, NOTHING)


def test_volumes_come_and_go_while_the_vm_runs(machines: QemuMachines, spec: MachineSpec) -> None:
    machines.start_vm(spec, NOTHING)
    for _ in range(2):
        machines.attach_volume("i-1", DATA)
    with pytest.raises(MachineError, match="vol-data is in use"):
        machines.delete_volume(DATA.volume_id)
    machines.create_volume("vol-more", 1, None)
    with pytest.raises(MachineError, match="VM i-1 has another volume at /dev/xvdf"):
        machines.attach_volume("i-1", Disk("vol-more", "/dev/xvdf"))
    for _ in range(2):
        machines.detach_volume("i-1", DATA)
    machines.delete_volume(DATA.volume_id)
    with pytest.raises(MachineError, match="vol-root is the root of VM i-1: stop the VM first"):
        machines.detach_volume("i-1", ROOT)


def test_a_port_of_the_guest_is_on_this_machine_while_the_vm_runs(machines: QemuMachines, spec: MachineSpec) -> None:
    machines.start_vm(spec, NOTHING)
    port = machines.forward("i-1", 80)
    assert port == machines.forward("i-1", 80) != machines.forward("i-1", 443)
    socket.create_connection(("127.0.0.1", port), timeout=5).close()
    machines.stop_vm("i-1", force=True)
    with pytest.raises(MachineError, match="VM i-1 does not run"):
        machines.forward("i-1", 80)


def test_a_running_vms_volume_can_be_frozen(machines: QemuMachines, spec: MachineSpec) -> None:
    machines.start_vm(spec, NOTHING)
    machines.create_snapshot("snap-1", ROOT.volume_id)

    assert machines._disks.snapshot("snap-1").stat().st_blocks > 0
    assert machines.vm_running("i-1")
    machines.stop_vm("i-1", force=True)


def test_after_the_end_nothing_starts(machines: QemuMachines, spec: MachineSpec) -> None:
    machines.close()

    with pytest.raises(MachineError, match="VM i-1 cannot be started: the sandbox is ending"):
        machines.start_vm(spec, NOTHING)


def test_a_long_home_is_no_obstacle(tmp_path: Path) -> None:
    machines = QemuMachines(tmp_path / ("long-" * 20) / ("name, with comma-" * 10))
    machines.create_volume("vol-1", 1, None)
    machines.start_vm(MachineSpec("i-1", "", SSH_PORT, (Disk("vol-1", "/dev/sda1"),)), NOTHING)

    assert machines.vm_running("i-1")
    machines.stop_vm("i-1", force=True)
    machines.close()


_VICTIM = """
import sys, threading
from pathlib import Path
from sandbox.machines.protocol import Disk, MachineSpec, Metadata
from sandbox.machines.qemu import QemuMachines

machines = QemuMachines(Path(sys.argv[1]))
machines.create_volume("vol-1", 1, None)
spec = MachineSpec("i-1", "", 2222, (Disk("vol-1", "/dev/sda1"),))
# The thread that asks for a VM ends at once; the VM must not end with it.
starter = threading.Thread(target=machines.start_vm, args=(spec, Metadata({})))
starter.start()
starter.join()
print("started", machines.vm_running("i-1"), flush=True)
sys.stdin.read()
"""


def test_vms_end_with_a_killed_server_and_can_be_started_by_the_next(tmp_path: Path) -> None:
    command = [sys.executable, "-c", _VICTIM, str(tmp_path)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as server:
        assert server.stdout is not None
        assert server.stdout.readline() == "started True\n"
        (child,) = _children(server.pid)
        ended = os.pidfd_open(child)
        server.send_signal(signal.SIGKILL)
    with os.fdopen(ended, "rb") as pidfd:
        _wait_readable(pidfd.fileno(), 10)

    again = QemuMachines(tmp_path)
    again.start_vm(MachineSpec("i-1", "", SSH_PORT, (Disk("vol-1", "/dev/sda1"),)), NOTHING)
    assert again.vm_running("i-1")
    again.stop_vm("i-1", force=True)
    again.close()


def _children(pid: int) -> list[int]:
    tasks = Path(f"/proc/{pid}/task").iterdir()
    return [int(child) for task in tasks for child in (task / "children").read_text().split()]


def _wait_readable(descriptor: int, limit_s: float) -> None:
    assert select.select([descriptor], [], [], limit_s)[0], "the VM outlived the server"


@pytest.mark.skipif(not UEFI_CODE.is_file(), reason="no UEFI firmware on this machine (Debian package ovmf)")
def test_uefi_keeps_its_variables_with_the_vm(machines: QemuMachines, spec: MachineSpec, tmp_path: Path) -> None:
    machines.start_vm(MachineSpec("i-1", "", SSH_PORT, (ROOT,), "uefi"), NOTHING)

    assert machines.vm_running("i-1")
    assert (tmp_path / "home" / "vms" / "i-1" / "uefi-variables.fd").stat().st_size == UEFI_VARIABLES.stat().st_size
