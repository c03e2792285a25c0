"""Stub VMs as whoever uses them meets them: by the system's ssh and scp."""

from __future__ import annotations

import asyncio
import socket
import subprocess
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from omi.verify.ssh import Door, wait_for_banner
from sandbox.machines.protocol import Disk, MachineError, MachineSpec, Metadata
from sandbox.machines.stub import StubMachines
from sandbox.machines.stub.guest import StubGuest
from tests.sandbox.ports import free_base_port

LIMIT = 20.0
SETTINGS = "IMAGE_NAME=some-image\nUSER_NAME=somebody\nBRANCH=v3.23\n"
RULES = """\
systems:
  source: {user: outscale, console: console.txt}
  image: {user: "{{ image.USER_NAME }}", console: console.txt}
rules:
  - system: source
    command: ^install$
    output: installed.txt
    leaves: {/tmp/out/result: installed.txt}
    installs: {settings: /tmp/settings, device: /dev/xvdf}
  - {system: source, command: ^fail$, errors: errors.txt, exit: 3}
  - {system: image, command: ^sh -s$, input: who am I, output: installed.txt}
"""


class Bench:
    """The machines, with a key that VMs are told, on an address of their own."""

    def __init__(self, folder: Path) -> None:
        self.answers = folder / "answers"
        self.answers.mkdir()
        (self.answers / "rules.yaml").write_text(RULES)
        (self.answers / "installed.txt").write_text("this is {{ image.IMAGE_NAME }} in {{ metadata['instance-id'] }}\n")
        (self.answers / "errors.txt").write_text("no such thing\n")
        (self.answers / "console.txt").write_text("host key {{ host_key }}\n")
        self.machines = StubMachines(folder / "home", self.answers)
        self.folder, self.port = folder, free_base_port()
        self.key = self.new_key("key")

    def new_key(self, name: str) -> Path:
        path = self.folder / name
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", path], check=True, timeout=LIMIT)
        return path

    def start(self, vm_id: str, **volumes: str) -> None:
        """Start a VM with volumes by their device's last name."""
        disks = tuple(Disk(volume, f"/dev/{device}") for device, volume in volumes.items())
        public = self.key.with_suffix(".pub").read_bytes()
        told = Metadata({"meta-data/instance-id": vm_id.encode(), "meta-data/public-keys/0/openssh-key": public})
        self.machines.start_vm(MachineSpec(vm_id, "127.0.0.1", self.port, disks), told)

    def door(self, user: str, key: Path | None = None) -> Door:
        return Door("127.0.0.1", self.port, user, key or self.key)

    def run(self, command: str) -> subprocess.CompletedProcess[str]:
        return self._tool("ssh", "-p", str(self.port), "outscale@127.0.0.1", command)

    def copy(self, source: str, target: str) -> subprocess.CompletedProcess[str]:
        """By scp's own protocol, as Packer does."""
        return self._tool("scp", "-O", "-r", "-P", str(self.port), source, target)

    def _tool(self, name: str, *arguments: str) -> subprocess.CompletedProcess[str]:
        hosts = ("-o", "StrictHostKeyChecking=no", "-o", "UserKnownHostsFile=/dev/null", "-o", "LogLevel=ERROR")
        return subprocess.run(
            [name, "-F", "/dev/null", "-i", str(self.key), *hosts, *arguments],
            stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=LIMIT, check=False,
        )  # fmt: skip


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    made = Bench(tmp_path)
    made.machines.create_volume("root", 10, None)
    made.machines.create_volume("disk", 1, None)
    yield made
    made.machines.close()


def test_it_calls_itself_a_stub_in_its_greeting(bench: Bench) -> None:
    bench.start("i-1", sda1="root")
    assert wait_for_banner("127.0.0.1", bench.port, LIMIT) == "SSH-2.0-sandbox_stub"


def test_it_lets_in_by_the_key_it_was_told_and_nobody_else(bench: Bench) -> None:
    bench.start("i-1", sda1="root")
    assert bench.run("fail").returncode == 3
    assert bench.door("outscale", bench.new_key("other")).refusal("outscale", LIMIT) == "publickey"
    assert bench.door("outscale").refusal("root", LIMIT) == "publickey"
    assert bench.door("outscale").refusal("outscale", LIMIT, "-o", "PubkeyAuthentication=no") == "publickey"


def test_what_was_uploaded_decides_the_answer_the_download_and_the_image(bench: Bench) -> None:
    (bench.folder / "settings").write_text(SETTINGS)
    bench.start("i-1", sda1="root", xvdf="disk")
    assert bench.copy(str(bench.folder / "settings"), "outscale@127.0.0.1:/tmp").returncode == 0
    said = bench.run("install")
    assert (said.returncode, said.stdout) == (0, "this is some-image in i-1\n")
    assert bench.copy("outscale@127.0.0.1:/tmp/out/result", str(bench.folder / "got")).returncode == 0
    assert (bench.folder / "got").read_text() == said.stdout
    bench.machines.stop_vm("i-1", force=False)
    bench.machines.create_snapshot("snapshot", "disk")
    bench.machines.create_volume("grown", 2, "snapshot")
    bench.start("i-2", sda1="grown")
    answer = bench.door("somebody").run("who am I", LIMIT)
    assert (answer.exit_code, answer.output) == (0, "this is some-image in i-2\n")


def test_a_command_without_a_recorded_answer_fails_and_says_so(bench: Bench) -> None:
    bench.start("i-1", sda1="root")
    answer = bench.run("make coffee")
    assert (answer.returncode, answer.stderr) == (127, "stub VM: no answer was recorded for: make coffee\n")
    assert bench.run("fail").stderr == "no such thing\n"


def test_an_answer_that_needs_an_upload_that_is_not_there_says_so(bench: Bench) -> None:
    bench.start("i-1", sda1="root", xvdf="disk")
    assert bench.run("install").stderr == "stub VM: /tmp/settings: No such file or directory\n"


def test_it_ends_and_starts_again_with_the_same_host_key(bench: Bench) -> None:
    bench.start("i-1", sda1="root")
    console = bench.machines.console("i-1")
    assert console.startswith(b"host key SHA256:")
    bench.machines.stop_vm("i-1", force=False)
    assert not bench.machines.vm_running("i-1")
    assert bench.run("fail").returncode == 255
    bench.start("i-1", sda1="root")
    assert bench.machines.vm_running("i-1")
    assert bench.run("fail").returncode == 3
    assert bench.machines.console("i-1") == console
    bench.machines.delete_vm("i-1")
    assert bench.machines.console("i-1") == b""


def test_an_address_that_is_taken_is_told(bench: Bench) -> None:
    bench.start("i-1", sda1="root")
    with pytest.raises(MachineError, match=rf"127\.0\.0\.1:{bench.port} cannot be the VM's SSH address: "):
        bench.start("i-2", sda1="root")
    assert not bench.machines.vm_running("i-2")


def test_one_that_is_deleted_while_it_starts_leaves_nothing_that_listens(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench.machines.create_volume("vol-1", 1, None)
    begun, deleted, start = threading.Event(), threading.Event(), StubGuest.start

    async def slow(guest: StubGuest) -> None:
        begun.set()
        await asyncio.to_thread(deleted.wait, LIMIT)
        await start(guest)

    monkeypatch.setattr(StubGuest, "start", slow)
    with ThreadPoolExecutor(1) as other:
        starting = other.submit(bench.start, "i-1", xvda="vol-1")
        assert begun.wait(LIMIT)
        bench.machines.delete_vm("i-1")
        deleted.set()
        with pytest.raises(MachineError, match="i-1 was deleted while it started"):
            starting.result(LIMIT)
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", bench.port), timeout=LIMIT)


def test_a_folder_without_answers_is_told(tmp_path: Path) -> None:
    with pytest.raises(MachineError, match=r"rules\.yaml: no answers of stub VMs: .*No such file"):
        StubMachines(tmp_path / "home", tmp_path)
