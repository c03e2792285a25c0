"""`omi try` on stub VMs, with real Packer: it leaves nothing of its own, and all that a stack has."""

from __future__ import annotations

import os
import pty
import re
import shutil
import signal
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.project import Project
from tests.sandbox.client import wait_for

pytestmark = pytest.mark.slow

BUILD = "v3_23-x86_64"
NOT_RECORDED = 127
"""A stub's answer to a command that it doesn't know."""


@pytest.fixture(scope="module")
def project(stub_project: Project) -> Project:
    """A stack that holds an image."""
    assert stub_project.up().code == 0
    return stub_project


@pytest.fixture
def untouched(project: Project) -> Iterator[dict[str, Any]]:
    """What is there before a try is there after it, in the account and in the stack's state."""
    before, state = seen(project), project.pulumi("stack", "export", "-s", "e2e").text
    yield before
    assert seen(project) == before
    assert project.pulumi("stack", "export", "-s", "e2e").text == state


def seen(project: Project) -> dict[str, Any]:
    """The account's things, but for what is on its way out."""
    kinds: dict[str, Any] = project.inventory()["main"]["resources"]
    going = ("shutting-down", "terminated", "deleting")
    return {kind: [each for each in things if each.get("state") not in going] for kind, things in kinds.items()}


def begin(project: Project, *arguments: str, stdin: int = subprocess.PIPE) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        ["python", "-m", "omi", "try", "-s", "e2e", BUILD, *arguments],
        cwd=project.folder, env=project.environment(), stdin=stdin,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, start_new_session=True,
    )  # fmt: skip


def end(process: subprocess.Popen[bytes]) -> str:
    output, _ = process.communicate(timeout=300)
    return output.decode()


def test_a_command_runs_in_the_vm_and_its_exit_code_comes_back(project: Project, untouched: dict[str, Any]) -> None:
    done = project.run("python", "-m", "omi", "try", "-s", "e2e", BUILD, "--", "rc-service", "nginx", "status")
    assert done.code == NOT_RECORDED, done.text
    assert "no answer was recorded for: rc-service nginx status" in done.text
    assert "a stub VM: nothing of the image itself is checked" in done.text


def test_a_terminal_gets_a_shell(project: Project, untouched: dict[str, Any]) -> None:
    ours, its = pty.openpty()
    process = begin(project, stdin=its)
    os.close(its)
    shown = end(process)
    os.close(ours)
    assert "logging in as alpine; all of it goes at the end" in shown
    assert "no answer was recorded for: \n" in shown.replace("\r", "")


def test_without_a_terminal_and_a_command_nothing_is_built(project: Project, untouched: dict[str, Any]) -> None:
    done = project.run("python", "-m", "omi", "try", "-s", "e2e", BUILD)
    assert (done.code, done.text) == (
        2, "error: standard input: is not a terminal, so no shell can be opened; give a command after `--`\n"
    )  # fmt: skip


def test_a_build_that_is_not_there_is_named_with_those_that_are(project: Project) -> None:
    done = project.run("python", "-m", "omi", "try", "-s", "e2e", "v3_99", "--", "true")
    assert (done.code, done.text) == (
        2, f"error: build 'v3_99': is not in the profile; there are: {BUILD}\n"
    )  # fmt: skip


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
@pytest.mark.parametrize("phase", ["Packer", "the session"])
def test_a_signal_removes_all_of_it(
    project: Project, untouched: dict[str, Any], number: signal.Signals, phase: str
) -> None:
    process = begin(project, "--", "sh", "-s")  # a stub waits for the end of its standard input
    assert process.stdout is not None
    lines: list[str] = []
    reached = threading.Event()

    def read() -> None:
        for line in process.stdout or ():
            lines.append(line.decode())
            if ("logging in as" if phase == "the session" else "build VM") in lines[-1]:
                reached.set()

    reader = threading.Thread(target=read, daemon=True)
    reader.start()
    assert reached.wait(240), lines
    process.send_signal(number)
    assert process.wait(240) == 130, lines
    reader.join(10)
    assert "interrupted; it is removed" in lines[-1]
    assert not [line for line in lines if "Traceback" in line]


def test_what_is_kept_is_reached_by_the_printed_line_and_goes_by_the_other(
    project: Project, untouched: dict[str, Any]
) -> None:
    done = project.run("python", "-m", "omi", "try", "-s", "e2e", BUILD, "--keep")
    assert done.code == 0, done.text
    assert len(seen(project)["vm"]) == len(untouched["vm"]) + 1
    login, removal = re.findall(r"^  ((?:cd|python) .*)$", done.text, re.MULTILINE)
    entered = project.run("sh", "-c", f"{login} hello")
    assert (entered.code, "no answer was recorded for: hello" in entered.text) == (NOT_RECORDED, True), entered.text
    removed = project.run("sh", "-c", removal)
    assert removed.code == 0, removed.text


def test_what_a_killed_try_left_goes_with_the_next_one(project: Project, untouched: dict[str, Any]) -> None:
    process = begin(project, "--", "sh", "-s")
    wait_for(lambda: len(seen(project)["image"]), lambda count: count > len(untouched["image"]))
    process.kill()
    process.communicate(timeout=60)
    assert seen(project) != untouched
    done = project.run("python", "-m", "omi", "try", "-s", "e2e", BUILD, "--remove")
    assert done.code == 0, done.text


def test_what_a_lost_checkout_kept_is_named_and_goes_when_that_is_meant_though_the_build_is_renamed(
    project: Project, untouched: dict[str, Any]
) -> None:
    profile = project.folder / "profiles" / "alpine.yaml"
    tried, written = project.folder / "build" / "e2e+try", profile.read_text(encoding="utf-8")
    assert project.run("python", "-m", "omi", "try", "-s", "e2e", BUILD, "--keep").code == 0
    shutil.move(tried, project.folder / "moved")
    profile.write_text("builds: {another: {version: 1}}\n", encoding="utf-8")
    removal = ("python", "-m", "omi", "try", "-s", "e2e", BUILD, "--remove")
    named = project.run(*removal)
    assert (named.code, "of another checkout: try of" in named.text) == (6, True), named.text
    profile.write_text(written, encoding="utf-8")
    done = project.run("python", "-m", "omi", "try", "-s", "e2e", BUILD, "--", "rc-service", "nginx", "status")
    assert (done.code, "of another checkout: try of" in done.text) == (NOT_RECORDED, True), done.text
    assert len(seen(project)["vm"]) == len(untouched["vm"]) + 1, "somebody may be using it"
    removed = project.run(*removal, "--yes")
    assert removed.code == 0, removed.text


def test_the_logs_of_a_try_stay_beside_those_of_the_stack(project: Project) -> None:
    logs = sorted(Path(project.folder).glob("build/e2e+try/*/*.log"))
    assert [log.name for log in logs] == ["build.log", "packer.log"]
