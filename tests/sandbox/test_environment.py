"""What the sandbox starts gets no key that it doesn't need."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import pytest

from sandbox import commands
from sandbox.home import ServerError
from sandbox.machines import disks, kvm, processes
from sandbox.mirror.base import fetch_wheel
from sandbox.mirror.debian import unpack_debs
from sandbox.mirror.errors import MirrorError
from sandbox.source_omi import build
from tests.recorder import KEYS, PROXY, Recorder
from tests.sandbox.client import settings_for

TOOLS = ("qemu-img", "qemu-system-x86_64", "apt-config", "mmdebstrap", "dpkg-deb", "ssh", "python3")


@pytest.fixture
def recorder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Recorder:
    made = Recorder(tmp_path / "bin", *TOOLS, says="{}")
    for name, value in {**KEYS, **PROXY, "PATH": made.path, "ALPINE_OMI_ACCELERATOR": "tcg"}.items():
        monkeypatch.setenv(name, value)
    return made


def test_disks_and_vms(recorder: Recorder, tmp_path: Path) -> None:
    disks._qemu_img("info")
    kvm.AnswerCache(tmp_path / "cache")  # which asks for QEMU's version
    processes.start(["qemu-system-x86_64"], tmp_path / "log").wait(30)
    assert recorder.marked("qemu-img") == recorder.marked("qemu-system-x86_64") == set()


def test_tools_that_unpack_get_not_even_a_proxys_password(recorder: Recorder, tmp_path: Path) -> None:
    unpack_debs((tmp_path / "some.deb",), tmp_path / "root")
    build.run_tool(["qemu-img", "convert"], "qemu-img", 30, lambda _: None)
    assert recorder.marked("dpkg-deb") == recorder.marked("qemu-img") == set()


def test_tools_that_fetch_get_the_proxy_and_no_key(
    recorder: Recorder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "executable", str(recorder.folder / "python3"))
    with pytest.raises(MirrorError, match="pip downloaded no wheel"):
        fetch_wheel(tmp_path / "downloads")
    assert recorder.marked("python3") == set(PROXY)


def test_the_server_gets_no_key(recorder: Recorder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "executable", str(recorder.folder / "python3"))
    given = argparse.Namespace(accelerator=None, machines="stub", step=None, any_date=False)
    with pytest.raises(ServerError):
        commands.start(settings_for(tmp_path / "home"), given)
    assert recorder.marked("python3") == set(PROXY), "it fetches what a mirror is made of"
    assert recorder.seen("python3")["ALPINE_OMI_ACCELERATOR"] == "tcg"
