"""One VM: its QEMU process, control connection, metadata service and attached volumes.

A VM that KVM stops (for example in QEMU's run state `internal-error`) is started again by emulation, with its volumes.
"""

from __future__ import annotations

import logging
import shutil
import signal
import socket
import subprocess
import threading
import time
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path

from sandbox.machines import processes
from sandbox.machines.accelerator import Accelerator, Choice
from sandbox.machines.command import (
    GUEST_ADDRESS,
    UEFI_CODE,
    UEFI_VARIABLES,
    Attachment,
    Surroundings,
    attachment,
    block_node,
    console_log,
    qemu_command,
    scsi_device,
    uefi_variables,
)
from sandbox.machines.disks import file_errors
from sandbox.machines.metadata import MetadataService
from sandbox.machines.protocol import Disk, MachineError, MachineSpec, Metadata
from sandbox.machines.qmp import Qmp, QmpError

log = logging.getLogger("sandbox")

START_LIMIT_S = 30.0
UNPLUG_LIMIT_S = 20.0
BUTTON_EVERY_S = 5.0
KILL_LIMIT_S = 10.0
CONSOLE_BYTES = 64 * 1024
_DEAD_STATES = {
    "internal-error": "QEMU could not run it any further (run state internal-error)",
    "guest-panicked": "its system panicked (run state guest-panicked)",
    "io-error": "its disk could not be written (run state io-error): free space where the sandbox's home is",
}
"""QEMU's run states that only a new start ends -> their meaning."""
_CURED_BY_EMULATION = ("internal-error", "guest-panicked")
_USUAL_ENDS = (0, -signal.SIGTERM, -signal.SIGKILL)


class KvmError(MachineError):
    """KVM could not start a VM; emulation may."""


@dataclass(frozen=True)
class _Running:
    spec: MachineSpec
    accelerator: Accelerator
    process: subprocess.Popen[bytes]
    qmp: Qmp
    volumes: dict[str, Path]
    # By volume id; the root is not in it, as it cannot be unplugged.
    plugged: dict[str, Attachment]
    forwards: dict[int, int] = field(default_factory=dict)
    """The guest's ports -> ports on this machine."""
    fallen: threading.Event = field(default_factory=threading.Event)
    """Set if KVM failed, so that another QEMU will replace this one."""

    def alive(self) -> bool:
        return self.process.poll() is None or self.fallen.is_set() or self.aborted()

    def aborted(self) -> bool:
        """Whether QEMU itself gave up on KVM, as it does where a register can't be set."""
        return self.accelerator is Accelerator.KVM and self.process.poll() not in (None, *_USUAL_ENDS)

    def spec_now(self) -> MachineSpec:
        """Its description for a new start, with its present volumes."""
        root = self.spec.disks[0]
        return replace(self.spec, disks=(root, *(plug.disk for plug in self.plugged.values())))


class Machine:
    """A VM by its id, running or not. `lock` is held by whoever changes it."""

    def __init__(self, vm_id: str, folder: Path) -> None:
        self.vm_id = vm_id
        self.lock = threading.RLock()
        self._metadata_delay_s = 0.0
        self._service_lock = threading.Lock()
        self._folder = folder
        self._service: MetadataService | None = None
        self._running: _Running | None = None

    def running(self) -> bool:
        """Whether QEMU runs; a VM that powered itself off does not."""
        running = self._running
        return running is not None and running.alive()

    def holds(self, volume_id: str) -> bool:
        """Whether the VM runs with this volume."""
        running = self._running
        if running is None or not running.alive():
            return False
        return volume_id in running.plugged or running.spec.disks[0].volume_id == volume_id

    def set_metadata(self, metadata: Metadata) -> MetadataService:
        """Serve this from now on; the service is kept from the first call to delete()."""
        with self._service_lock:
            if self._service is None:
                self._service = MetadataService(metadata)
            self._service.set(metadata)
            return self._service

    def delay_metadata(self, seconds: float) -> None:
        """Let the metadata service give no answer for so long: from now, and after each later start."""
        with self._service_lock:
            self._metadata_delay_s = seconds
            if self._service is not None:
                self._service.be_silent(seconds)

    def start(self, spec: MachineSpec, metadata: Metadata, volumes: dict[str, Path], choice: Choice) -> None:
        """Start QEMU unless it runs; returns when QEMU has made every device. `volumes`: file by volume id."""
        with self.lock:
            service = self.set_metadata(metadata)
            if self.running():
                return
            service.be_silent(self._metadata_delay_s)
            with file_errors():
                self._prepare(spec)
            try:
                self._launch(spec, volumes, choice, service.port)
            except KvmError as error:
                choice.give_up_kvm(str(error))
                self._launch(spec, volumes, choice, service.port)

    def _launch(self, spec: MachineSpec, volumes: dict[str, Path], choice: Choice, metadata_port: int) -> None:
        accelerator = choice.current
        ours, theirs = socket.socketpair()
        with theirs:
            socat = _tool("socat", "socat")
            around = Surroundings(accelerator, volumes, self._folder, metadata_port, theirs.fileno(), socat)
            process = processes.start(qemu_command(spec, around), self._log(), [theirs.fileno()])
        qmp = Qmp(ours, lambda: self._stopped(running, choice), lambda: self._gone(running, choice))
        plugged = {disk.volume_id: attachment(disk) for disk in spec.disks[1:]}
        running = self._running = _Running(spec, accelerator, process, qmp, dict(volumes), plugged)
        self._greet(running)

    def _stopped(self, running: _Running, choice: Choice) -> None:
        """The CPU stands still: by us, for a snapshot, or because it can't go on."""
        try:
            state = str(running.qmp.execute("query-status")["status"])
        except QmpError:
            return  # it has ended, which is noticed by itself
        if state not in _DEAD_STATES:
            return
        if running.accelerator is Accelerator.KVM and state in _CURED_BY_EMULATION:
            self._start_again(running, choice, _DEAD_STATES[state])
            return
        log.warning("VM %s is ended: %s", self.vm_id, _DEAD_STATES[state])
        running.process.terminate()

    def _gone(self, running: _Running, choice: Choice) -> None:
        """QEMU has ended: the guest powered off, we ended it, or it gave up because of KVM."""
        with suppress(subprocess.TimeoutExpired):
            running.process.wait(KILL_LIMIT_S)
        if running.aborted():
            said = self._log().read_text(encoding="utf-8", errors="replace")
            self._start_again(running, choice, f"QEMU ended ({_last_line(said)})")

    def _start_again(self, fallen: _Running, choice: Choice, why: str) -> None:
        """Start it by emulation, unless somebody ended the VM meanwhile."""
        fallen.fallen.set()
        with self.lock:
            if self._running is not fallen or self._service is None:
                return
            _kill(fallen.process)
            fallen.qmp.close()
            choice.give_up_kvm(f"KVM stopped VM {self.vm_id}: {why}")
            log.warning("VM %s is started again by software emulation", self.vm_id)
            try:
                self._launch(fallen.spec_now(), fallen.volumes, choice, self._service.port)
            except MachineError as error:
                self._running = None
                log.warning("VM %s could not be started again: %s", self.vm_id, error)

    def power_off(self, limit_s: float) -> None:
        """Press the power button every few seconds (a booting guest overlooks it), and pull the plug at the limit."""
        with self.lock:
            running = self._running
            if running is None:
                return
            deadline = time.monotonic() + limit_s
            while running.process.poll() is None and not running.fallen.is_set() and time.monotonic() < deadline:
                # Refused when QEMU ends in this moment, or hangs: the wait shows which.
                with suppress(QmpError):
                    running.qmp.execute("system_powerdown")
                _ended(running.process, min(BUTTON_EVERY_S, max(deadline - time.monotonic(), 0.1)))
            self.unplug_power()

    def unplug_power(self) -> None:
        """End QEMU at once: SIGTERM lets it close its files, SIGKILL follows. Cuts a power_off() short."""
        starting_or_stopping = self._running
        if starting_or_stopping is not None:
            starting_or_stopping.process.terminate()
        with self.lock:
            running, self._running = self._running, None
            if running is None:
                return
            running.process.terminate()
            if not _ended(running.process, KILL_LIMIT_S):
                _kill(running.process)
            running.qmp.close()

    def close(self) -> None:
        """End QEMU and the metadata service; console and log stay."""
        with self.lock:
            self.unplug_power()
            with self._service_lock:
                if self._service is not None:
                    self._service.close()
                    self._service = None

    def delete(self) -> None:
        """End QEMU and the metadata service, remove console, log and firmware variables."""
        with self.lock:
            self.close()
            shutil.rmtree(self._folder, ignore_errors=True)

    def attach(self, disk: Disk, path: Path) -> None:
        """Plug a volume into the running VM; nothing if it is plugged in, or the VM does not run."""
        with self.lock:
            running = self._running
            if running is None or not self.running() or disk.volume_id in running.plugged:
                return
            plug = attachment(disk)
            if plug.name in {other.name for other in running.plugged.values()}:
                raise MachineError(f"VM {self.vm_id} has another volume at {disk.device_name}")
            running.qmp.execute("blockdev-add", **block_node(plug.node, path))
            try:
                running.qmp.execute("device_add", **scsi_device(plug))
            except QmpError:
                running.qmp.execute("blockdev-del", **{"node-name": plug.node})
                raise
            running.volumes[disk.volume_id] = path
            running.plugged[disk.volume_id] = plug

    def detach(self, disk: Disk) -> None:
        """Unplug a volume from the running VM; nothing if it is not plugged in, or the VM does not run."""
        with self.lock:
            running = self._running
            if running is None or not self.running():
                return
            if running.spec.disks[0].volume_id == disk.volume_id:
                raise MachineError(f"volume {disk.volume_id} is the root of VM {self.vm_id}: stop the VM first")
            plug = running.plugged.get(disk.volume_id)
            if plug is None:
                return
            running.qmp.execute("device_del", id=plug.name)
            if not running.qmp.wait_event("DEVICE_DELETED", UNPLUG_LIMIT_S, device=plug.name):
                raise MachineError(f"VM {self.vm_id} did not let go of {disk.device_name}: unmount it in the VM")
            running.qmp.execute("blockdev-del", **{"node-name": plug.node})
            del running.plugged[disk.volume_id]

    def forward(self, port: int) -> int:
        """The port on 127.0.0.1 that leads to this port of the guest; made at the first call since its start."""
        with self.lock:
            running = self._running
            if running is None or not self.running():
                raise MachineError(f"VM {self.vm_id} does not run")
            if port not in running.forwards:
                with socket.create_server(("127.0.0.1", 0)) as probe:
                    free = int(probe.getsockname()[1])
                line = f"hostfwd_add net0 tcp:127.0.0.1:{free}-{GUEST_ADDRESS}:{port}"
                if said := running.qmp.execute("human-monitor-command", **{"command-line": line}):
                    raise MachineError(f"VM {self.vm_id}: port {port} can't be forwarded: {said.strip()}")
                running.forwards[port] = free
            return running.forwards[port]

    def pause(self) -> None:
        """Stop the CPU and write out what QEMU holds of its disks, so that their files can be read."""
        if self._running is not None:
            self._running.qmp.execute("stop")

    def resume(self) -> None:
        """Let the CPU run again."""
        if self._running is not None:
            self._running.qmp.execute("cont")

    def console(self) -> bytes:
        """The end of the serial console of the current or last run."""
        try:
            with console_log(self._folder).open("rb") as log:
                log.seek(max(log.seek(0, 2) - CONSOLE_BYTES, 0))
                return log.read(CONSOLE_BYTES)
        except FileNotFoundError:
            return b""

    def _prepare(self, spec: MachineSpec) -> None:
        if spec.public_ip:
            _require_free(spec.public_ip, spec.ssh_port)
        self._folder.mkdir(parents=True, exist_ok=True)
        self._log().write_bytes(b"")
        variables = uefi_variables(self._folder)
        if spec.firmware == "uefi" and not variables.exists():
            if not (UEFI_CODE.is_file() and UEFI_VARIABLES.is_file()):
                raise MachineError(f"VM {spec.vm_id}: no UEFI firmware on this machine: apt-get install ovmf")
            shutil.copyfile(UEFI_VARIABLES, variables)

    def _log(self) -> Path:
        return self._folder / "qemu.log"

    def _greet(self, running: _Running) -> None:
        try:
            running.qmp.open(START_LIMIT_S)
        except QmpError as error:
            ended = _ended(running.process, 1.0)
            self.unplug_power()
            said = self._log().read_text(encoding="utf-8", errors="replace")
            reason = _last_line(said) if ended else str(error)
            by_kvm = ended and running.aborted() and (running.process.returncode < 0 or "kvm" in said.lower())
            kind = KvmError if by_kvm else MachineError
            raise kind(f"VM {self.vm_id} could not be started: {_explain(reason)}") from None


def _kill(process: subprocess.Popen[bytes]) -> None:
    process.kill()
    _ended(process, KILL_LIMIT_S)


def _ended(process: subprocess.Popen[bytes], limit_s: float) -> bool:
    try:
        process.wait(limit_s)
    except subprocess.TimeoutExpired:
        return False
    return True


def _tool(name: str, package: str) -> str:
    found = shutil.which(name)
    if found is None:
        raise MachineError(f"{name} is missing: apt-get install {package}")
    return found


def _require_free(address: str, port: int) -> None:
    with socket.socket() as probe:
        # As QEMU does; without it a connection that was just closed would count as in use.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((address, port))
        except OSError as error:
            raise MachineError(f"{address}:{port} cannot be the VM's SSH address: {error.strerror}") from error


def _last_line(log: str) -> str:
    lines = [line for line in log.splitlines() if line.strip()]
    return lines[-1] if lines else "QEMU ended without a word"


def _explain(line: str) -> str:
    if "qemu-system" in line and "No such file or directory" in line and line.startswith("setpriv"):
        return "qemu-system-x86_64 is missing: apt-get install qemu-system-x86"
    if "host forwarding rule" in line:
        return f"its SSH address is in use ({line})"
    if "another process using" in line or 'Failed to get "' in line:
        return f"another process uses one of its volumes ({line})"
    return line
