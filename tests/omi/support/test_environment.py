"""What this program starts gets no key that it doesn't need."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from omi.build.origin import read_origin
from omi.build.packer.tools import PackerTools, find_tools
from omi.build.supervisor import run_supervised
from omi.config.stack import exported_state
from omi.verify.ssh import Door
from tests.omi.specs import make_spec
from tests.recorder import KEYS, PROXY, Recorder

PLUGIN = "/plugins/github.com/outscale/outscale/packer-plugin-outscale_v1.6.1_x5.0_linux_amd64"


@pytest.fixture
def with_keys(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {**KEYS, **PROXY}.items():
        monkeypatch.setenv(name, value)


def test_git_and_the_tools_whose_version_is_asked_get_no_key(tmp_path: Path, with_keys: None) -> None:
    recorder = Recorder(tmp_path / "bin", "git", "packer", "pulumi")
    environ = {**os.environ, "PATH": recorder.path}
    read_origin(tmp_path, PackerTools(str(recorder.folder / "packer"), "", (1, 6, 1)), environ)
    for program in ("git", "packer", "pulumi"):
        assert recorder.marked(program) == set()
        assert recorder.seen(program)["HOME"] == os.environ["HOME"]
        assert recorder.seen(program)["PATH"] == recorder.path


def test_packer_is_asked_for_its_plugins_without_a_key(tmp_path: Path, with_keys: None) -> None:
    recorder = Recorder(tmp_path / "bin", "packer", says=PLUGIN)
    folders = {"PACKER_PLUGIN_PATH": "/plugins", "PACKER_CONFIG_DIR": "/config"}
    find_tools({**os.environ, **folders, "PATH": recorder.path})
    assert recorder.marked("packer") == set()
    assert folders.items() <= recorder.seen("packer").items()


def test_ssh_gets_no_key(tmp_path: Path, with_keys: None, monkeypatch: pytest.MonkeyPatch) -> None:
    recorder = Recorder(tmp_path / "bin", "ssh")
    monkeypatch.setenv("PATH", recorder.path)
    Door("127.0.0.1", 22, "alpine", tmp_path / "key").run("true", 10)
    assert recorder.marked("ssh") == set()


def test_pulumi_gets_the_keys_of_its_backend_and_not_the_clouds(
    tmp_path: Path, with_keys: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    recorder = Recorder(tmp_path / "bin", "pulumi", says=json.dumps({"deployment": {}}))
    monkeypatch.setenv("PATH", recorder.path)
    exported_state("one")
    assert {name for name in KEYS if name not in recorder.marked("pulumi")} == {
        "ALPINE_OMI_SIGNING_KEY",
        "OSC_ACCESS_KEY",
        "OSC_SECRET_KEY",
    }


def test_a_builds_supervisor_gets_the_clouds_keys_and_not_pulumis(
    tmp_path: Path, with_keys: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    recorder = Recorder(tmp_path / "bin", "python3")
    monkeypatch.setattr("sys.executable", str(recorder.folder / "python3"))
    monkeypatch.setattr("signal.signal", lambda *_: None)
    monkeypatch.setattr("omi.build.supervisor._when_ended", lambda *_: None)
    run_supervised(make_spec())
    assert {name for name in KEYS if name not in recorder.marked("python3")} == {
        "ALPINE_OMI_SIGNING_KEY",
        "PULUMI_ACCESS_TOKEN",
        "PULUMI_CONFIG_PASSPHRASE",
    }
