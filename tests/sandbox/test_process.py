"""The server as a process: its command line, what a kill loses (nothing that was answered), TLS, and bad input."""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import signal
import socket
import ssl
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from sandbox.config import Addresses, SandboxSettings, SandboxTiming
from tests.sandbox.client import (
    Oapi,
    empty_volume,
    launch,
    register,
    settings_for,
    snapshot,
    state_of,
    wait_for,
    wait_state,
)
from tests.sandbox.ports import free_base_port

pytestmark = pytest.mark.slow

ROOT = Path(__file__).resolve().parents[2]
LIMIT = 60
FAKES = [
    "--machines",
    "tests.sandbox.fakes:FakeMachines",
    "--source",
    "tests.sandbox.fakes:fake_source",
    "--mirror",
    "off",
]


class Process:
    """The command line for one home."""

    def __init__(self, home: Path, base_port: int) -> None:
        self.home = home
        self.base_port = base_port

    def run(self, *arguments: str, under: tuple[str, ...] = (), **environment: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [
                *under,
                sys.executable,
                "-m",
                "sandbox",
                "--home",
                self.home,
                "--base-port",
                str(self.base_port),
                *arguments,
            ],
            cwd=ROOT,
            env={**os.environ, **environment},
            capture_output=True,
            text=True,
            timeout=LIMIT,
            check=False,
        )

    def start(self, step: str = "0.02", **environment: str) -> None:
        started = self.run("start", *FAKES, "--cache", str(self.home.parent), "--step", step, under=(), **environment)
        assert started.returncode == 0, started.stderr
        assert "ready: https://127.0.0.1:" in started.stdout

    def pid(self) -> int:
        return int(json.loads(self.run("status", "--json").stdout)["pid"])

    def kill(self) -> None:
        os.kill(self.pid(), signal.SIGKILL)
        wait_for(lambda: self.run("status").returncode, lambda code: code == 3)

    def oapi(self, profile: str = "main") -> Oapi:
        profiles = json.loads((self.home / "osc.json").read_text())
        return Oapi(profiles[profile], Addresses(self.base_port), self.home / "ca.pem")


@pytest.fixture
def process(tmp_path: Path) -> Iterator[Process]:
    made = Process(tmp_path / "home", free_base_port())
    yield made
    made.run("reset", "--yes")


def test_nothing_that_was_answered_is_lost_by_a_kill(process: Process) -> None:
    process.start()
    oapi = process.oapi()
    image = register(oapi, "kept", snapshot(oapi, empty_volume(oapi)))
    vm = launch(oapi)
    oapi.call("CreateTags", ResourceIds=[vm], Tags=[{"Key": "Name", "Value": "kept"}])
    volume = oapi.call("CreateVolume", Size=1, SubregionName="eu-west-2a")["Volume"]["VolumeId"]
    oapi.call("CreateKeypair", KeypairName="last words")
    process.kill()
    process.start()
    assert state_of(oapi, image) == "available"
    assert state_of(oapi, vm) == "stopped", "a VM ends with the server"
    assert oapi.call("ReadVms")["Vms"][0]["Tags"] == [{"Key": "Name", "Value": "kept"}]
    assert [each["KeypairName"] for each in oapi.call("ReadKeypairs")["Keypairs"]] == ["last words"]
    wait_state(oapi, volume, "available")
    oapi.call("StartVms", VmIds=[vm])
    wait_state(oapi, vm, "running")


def test_what_was_under_way_at_a_kill_ends_in_a_known_state(process: Process) -> None:
    process.start(step="1.0")
    oapi = process.oapi()
    volume = empty_volume(oapi)
    copied = oapi.call("CreateSnapshot", VolumeId=volume)["Snapshot"]["SnapshotId"]
    wait_state(oapi, copied, "pending")
    pending = snapshot(oapi, volume)
    device = {"DeviceName": "/dev/sda1", "Bsu": {"SnapshotId": pending}}
    image = oapi.call("CreateImage", ImageName="mine", RootDeviceName="/dev/sda1", BlockDeviceMappings=[device])
    oapi.call("DeleteVolume", VolumeId=volume)
    process.kill()
    process.start()
    wait_state(oapi, copied, "completed")
    wait_state(oapi, image["Image"]["ImageId"], "available")
    wait_state(oapi, volume, "gone")


def test_a_snapshot_that_was_half_copied_at_a_kill_is_in_error(process: Process) -> None:
    process.start(ALPINE_OMI_FAKES_SLOW="5")
    oapi = process.oapi()
    half = oapi.call("CreateSnapshot", VolumeId=empty_volume(oapi))["Snapshot"]["SnapshotId"]
    process.kill()
    process.start()
    assert state_of(oapi, half) == "error"
    oapi.call("DeleteSnapshot", SnapshotId=half)
    wait_state(oapi, half, "gone")


def test_stop_keeps_the_state_and_reset_deletes_it(process: Process) -> None:
    assert process.run("status").returncode == 3
    process.start()
    again = process.run("start", *FAKES)
    assert (again.returncode, "already running" in again.stdout) == (0, True)
    vm = launch(process.oapi())
    assert vm in process.run("status").stdout
    assert process.run("console", vm).stdout == "fake console\n"
    unknown = process.run("console", "i-00000000")
    assert (unknown.returncode, unknown.stderr.count("\n")) == (1, 1)
    assert process.run("stop").returncode == 0
    assert process.run("status").returncode == 3
    process.start()
    assert state_of(process.oapi(), vm) == "stopped"
    unsure = process.run("reset")
    assert (unsure.returncode, "--yes" in unsure.stderr) == (1, True)
    (process.home / "mine.txt").write_text("not the sandbox's")
    assert process.run("reset", "--yes").returncode == 0
    assert [each.name for each in process.home.iterdir()] == ["mine.txt"]


def test_status_and_stop_find_the_server_whatever_port_is_said(process: Process) -> None:
    process.start()
    other = Process(process.home, 7440)
    assert json.loads(other.run("status", "--json").stdout)["base_port"] == process.base_port
    assert other.run("stop").returncode == 0
    assert process.run("status").returncode == 3


def test_a_port_in_use_is_named_in_one_line(process: Process) -> None:
    with socket.create_server(("127.0.0.1", process.base_port + 1)):
        failed = process.run("start", *FAKES)
    assert failed.returncode == 1
    assert failed.stderr.count("\n") == 1
    assert str(process.base_port + 1) in failed.stderr
    assert "--base-port" in failed.stderr


def test_bad_settings_are_one_line_each(tmp_path: Path) -> None:
    blocked = tmp_path / "file"
    blocked.write_text("")
    port = free_base_port()
    cases = [
        (Process(blocked / "home", port), ["start", *FAKES], str(blocked)),
        (Process(tmp_path / "home", port), ["start", "--machines", "no.such:Thing", "--mirror", "off"], "no.such"),
        (Process(tmp_path / "home", port), ["console", "i-1"], "start"),
    ]
    for process, arguments, named in cases:
        failed = process.run(*arguments)
        assert (failed.returncode, failed.stderr.count("\n")) == (1, 1), failed.stderr
        assert named in failed.stderr
        assert "Traceback" not in failed.stderr


@pytest.mark.parametrize("name", ["state.sqlite", "osc.json", "machines", "server.lock", "server.log", "volumes"])
def test_what_is_in_the_way_is_named_in_one_line(process: Process, name: str) -> None:
    if name == "volumes":
        process.home.mkdir()
        (process.home / name).touch()
    else:
        (process.home / name).mkdir(parents=True)
    failed = process.run("start", *FAKES)
    assert (failed.returncode, failed.stderr.count("\n")) == (1, 1), failed.stderr
    assert str(process.home / name) in failed.stderr


def test_an_unknown_accelerator_in_the_environment_is_named(process: Process) -> None:
    failed = process.run("start", *FAKES, ALPINE_OMI_ACCELERATOR="fast")
    assert (failed.returncode, failed.stderr.count("\n")) == (1, 1)
    assert failed.stderr == "sandbox: ALPINE_OMI_ACCELERATOR is 'fast'; allowed are auto, kvm, tcg\n"
    assert process.run("start", *FAKES, "--accelerator", "fast").returncode == 2


def test_a_sandbox_that_runs_is_not_silently_left_with_another_accelerator(process: Process) -> None:
    process.start(ALPINE_OMI_ACCELERATOR="auto")
    refused = process.run("start", *FAKES, "--accelerator", "tcg")
    assert (refused.returncode, refused.stderr.count("\n")) == (1, 1)
    assert "runs already, with --accelerator auto; end it first: python -m sandbox stop" in refused.stderr
    assert process.run("start", *FAKES, "--accelerator", "auto").returncode == 0
    assert process.run("stop").returncode == 0
    assert process.run("start", *FAKES, "--accelerator", "tcg").returncode == 0
    assert json.loads(process.run("status", "--json").stdout)["accelerator"] == "tcg"


@pytest.mark.parametrize("room", [2_000, 20_000, 60_000])
def test_a_full_disk_is_said_in_one_line(process: Process, room: int) -> None:
    failed = process.run("start", *FAKES, under=("prlimit", f"--fsize={room}"))
    assert (failed.returncode, failed.stderr.count("\n")) == (1, 1), failed.stderr
    assert str(process.home) in failed.stderr
    assert "is the disk full" in failed.stderr
    assert "reset" not in failed.stderr
    process.start()  # with room again it just works


def test_missing_tools_are_named_with_their_package(process: Process, tmp_path: Path) -> None:
    failed = process.run("start", "--mirror", "off", PATH=str(tmp_path))
    assert failed.returncode == 1
    assert "apt-get install qemu-system-x86 qemu-utils socat" in failed.stderr


def test_tls_is_verified_with_the_sandboxs_own_ca(process: Process) -> None:
    process.start()
    ca = str(process.home / "ca.pem")
    for host in ("127.0.0.1", "localhost"):
        trusting = http.client.HTTPSConnection(
            host, process.base_port, context=ssl.create_default_context(cafile=ca), timeout=10
        )
        with contextlib.closing(trusting):
            trusting.request("POST", "/api/v1/ReadVms", b"{}")
            assert trusting.getresponse().status == 401
    doubting = http.client.HTTPSConnection("127.0.0.1", process.base_port, timeout=10)
    with contextlib.closing(doubting), pytest.raises(ssl.SSLCertVerificationError):
        doubting.request("POST", "/api/v1/ReadVms", b"{}")
    for name in ("ca.key", "server.pem", "osc.json", "state.sqlite"):
        assert (process.home / name).stat().st_mode & 0o077 == 0, name


def test_certificates_and_keys_outlive_a_restart(process: Process) -> None:
    process.start()
    kept = {name: (process.home / name).read_bytes() for name in ("ca.pem", "server.pem", "osc.json")}
    process.run("stop")
    process.start()
    assert {name: (process.home / name).read_bytes() for name in kept} == kept


def test_settings_have_a_pace_for_demos_and_one_for_tests(tmp_path: Path) -> None:
    assert SandboxSettings(home=tmp_path).timing == SandboxTiming()
    quick = settings_for(tmp_path / "home", step=0.05).timing
    assert (quick.vm_start, quick.lockout) == (0.05, SandboxTiming().lockout)
