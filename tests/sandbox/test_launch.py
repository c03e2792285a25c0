"""`launch`, `terminate` and what `status` says of them, on stub VMs."""

from __future__ import annotations

import re
import shlex
import subprocess
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from sandbox import launch
from sandbox.__main__ import main
from sandbox.config import STUB_MACHINES, STUB_SOURCE
from tests.sandbox.client import LIMIT, Sandbox, settings_for, source_image, wait_state


class Line:
    """The command line of a sandbox that runs in this process."""

    def __init__(self, sandbox: Sandbox, capsys: pytest.CaptureFixture[str]) -> None:
        self.sandbox = sandbox
        self._home = str(sandbox.settings.home)
        self._capsys = capsys

    def run(self, *words: str, code: int = 0) -> str:
        """What it prints, on the error output if it fails."""
        assert main(["--home", self._home, *words]) == code
        out, err = self._capsys.readouterr()
        return err if code else out


@pytest.fixture
def line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Iterator[Line]:
    settings = replace(settings_for(tmp_path / "home"), machines=STUB_MACHINES, source=STUB_SOURCE)
    sandbox = Sandbox(settings)
    yield Line(sandbox, capsys)
    sandbox.close()


def lets_in(shown: str) -> bool:
    """Whether the stub VM takes a command by the ssh line that launch printed."""
    (command,) = (each for each in shown.splitlines() if each.startswith("  ssh "))
    words = [*shlex.split(command), "hello"]
    done = subprocess.run(words, stdin=subprocess.DEVNULL, timeout=LIMIT, capture_output=True, text=True, check=False)
    return "stub VM: no answer was recorded for: hello" in done.stderr


def vm_in(shown: str) -> str:
    found = re.search(r"\bi-\w+", shown)
    assert found, shown
    return found.group()


def test_a_launched_vm_lets_one_in_by_the_line_that_is_printed(line: Line) -> None:
    oapi = line.sandbox.oapi()
    shown = line.run("launch", source_image(oapi), "--port", "80", "--port", "5432")
    vm = vm_in(shown)
    ip = oapi.call("ReadVms", Filters={"VmIds": [vm]})["Vms"][0]["PublicIp"]
    assert f" outscale@{ip}\n" in shown
    assert f"  http://{ip}:8080  (port 80 of the VM)\n  http://{ip}:5432  (port 5432 of the VM)\n" in shown
    assert lets_in(shown)
    status = line.run("status")
    assert f"{ip}:2222 leads to its SSH\n" in status
    assert f"{ip}:8080 leads to its port 80\n" in status
    assert f"--home {line.sandbox.settings.home} terminate {vm}\n" in shown
    line.run("terminate", vm)
    wait_state(oapi, vm, "terminated")
    assert vm not in line.run("status")


def test_a_second_launch_takes_the_same_key_and_group(line: Line) -> None:
    oapi = line.sandbox.oapi()
    for _ in range(2):
        shown = line.run("launch", source_image(oapi))
        assert lets_in(shown)
    assert len(oapi.call("ReadKeypairs")["Keypairs"]) == 1
    names = [each["SecurityGroupName"] for each in oapi.call("ReadSecurityGroups")["SecurityGroups"]]
    assert sorted(names) == ["default", "launch-22"]


def test_a_key_that_was_lost_is_made_anew(line: Line) -> None:
    image = source_image(line.sandbox.oapi())
    line.run("launch", image)
    (line.sandbox.settings.home / "launch" / "main.pem").unlink()
    assert lets_in(line.run("launch", image))


def test_the_omi_may_be_of_any_account(line: Line) -> None:
    us = line.sandbox.oapi("main-us")
    vm = vm_in(line.run("launch", source_image(us)))
    assert us.call("ReadVms", Filters={"VmIds": [vm]})["Vms"]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (
            ("launch", "ami-00000000"),
            "no account may launch an OMI with the id ami-00000000: `python -m sandbox status` lists",
        ),
        (("terminate", "i-00000000"), "there is no VM i-00000000"),
    ],
)
def test_what_is_not_there_is_one_line(line: Line, words: tuple[str, ...], said: str) -> None:
    shown = line.run(*words, code=1)
    assert said in shown
    assert shown.count("\n") == 1


def test_an_image_with_a_user_of_its_own_is_said(line: Line, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(launch, "USERS", ("nobody", "somebody"))
    monkeypatch.setattr(launch, "DENIED_LIMIT", 0.0)
    shown = line.run("launch", source_image(line.sandbox.oapi()))
    assert " USER@127." in shown
    assert "USER is the image's own: it lets in none of nobody, somebody\n" in shown


def test_a_vm_that_never_answers_is_one_line_with_the_way_to_its_console(
    line: Line, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(launch, "BOOT_LIMIT", 0.5)
    line.sandbox.control("POST", "faults", {"resource": "ssh", "state": "closed"})
    shown = line.run("launch", source_image(line.sandbox.oapi()), code=1)
    assert re.search(r"its SSH did not answer within 0 s; see: python -m sandbox --home \S+ console i-\w+\n$", shown)
    assert shown.count("\n") == 1


def test_status_tells_the_stock_from_what_was_made(line: Line) -> None:
    shown = line.run("status")
    assert "made by its users: nothing\n" in shown
    assert "the sandbox's own stock: 8 images, 8 snapshots\n" in shown
    oapi = line.sandbox.oapi()
    oapi.call("CreateVms", ImageId=source_image(oapi))
    shown = line.run("status")
    assert "made by its users: 1 vm, 1 volume\n" in shown
    assert " leads to " not in shown, "no security group opens a way"
