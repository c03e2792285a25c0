"""Program, local cloud and toolchain import nothing of each other, and keep what may be lost in one folder."""

from __future__ import annotations

import os
import pwd
from pathlib import Path

import pytest

from omi.cli import stack_lock
from omi.config.settings import Endpoints, Settings
from omi.outscale.credentials import find_credentials
from omi.support import places
from omi.support.errors import InputError
from sandbox import config
from sandbox.__main__ import main
from sandbox.source_omi import build
from toolchain import store
from toolchain.errors import ToolchainError
from toolchain.installed import find_installed
from toolchain.tools import TOOLS


@pytest.mark.parametrize(
    ("own", "xdg", "folder"),
    [
        ("", "", "home/.cache/alpine-omi"),
        ("", "xdg", "xdg/alpine-omi"),
        ("own", "xdg", "own"),
        ("~/own", "", "home/own"),
        ("", "~/xdg", "home/xdg/alpine-omi"),
    ],
)
def test_all_rooms_agree_on_the_cache_folder(
    own: str, xdg: str, folder: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setenv("ALPINE_OMI_CACHE", own)
    monkeypatch.setenv("XDG_CACHE_HOME", xdg)
    found = [places.cache_folder(), config.default_cache(), store.cache_folder()]
    assert found == [tmp_path / folder] * 3


@pytest.fixture
def homeless(monkeypatch: pytest.MonkeyPatch) -> None:
    """A user of whom this machine knows neither home folder nor name, as in a container that runs by number."""

    def unknown(_: object) -> None:
        raise KeyError

    monkeypatch.setattr(pwd, "getpwuid", unknown)
    for name in ("HOME", "ALPINE_OMI_CACHE", "ALPINE_OMI_STATE", "XDG_CACHE_HOME", "XDG_STATE_HOME"):
        monkeypatch.delenv(name, raising=False)
    for name in ("LOGNAME", "USER", "LNAME", "USERNAME"):
        monkeypatch.delenv(name, raising=False)


@pytest.mark.usefixtures("homeless")
class TestHomeless:
    """One line with the cure, wherever a home folder is needed."""

    def test_the_program(self) -> None:
        with pytest.raises(InputError, match=r"no home folder ~ on this machine; set HOME, or set ALPINE_OMI_CACHE"):
            places.cache_folder()
        with pytest.raises(InputError, match=r"^~/ca\.pem: .*; set HOME, or write a path that begins with /$"):
            places.expand("~/ca.pem")
        access = Settings(region="eu-west-2", cloud=Endpoints(osc_profile="mine")).cloud_access()
        with pytest.raises(
            InputError, match=r"^~/\.osc/config\.json: .*; set HOME, or name the file by cloud\.osc_file"
        ):
            find_credentials(access, {})
        with pytest.raises(InputError, match=r"^~: .*; set HOME, or write the folder in PULUMI_BACKEND_URL from / on"):
            stack_lock.holders("file://~", "web", {})

    def test_another_users_home_is_not_mended_by_ours(self) -> None:
        with pytest.raises(InputError, match=r"^~nobody-here/x: .* ~nobody-here on this machine; write a path that"):
            places.expand("~nobody-here/x")

    def test_a_name_is_found_all_the_same(self) -> None:
        assert stack_lock._user() == build._user() == str(os.getuid())

    @pytest.mark.parametrize("words", [["status"], ["start"], ["--home", "/x", "start"]])
    def test_the_local_cloud(self, words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
        with pytest.raises(SystemExit) as ended:
            main(words)
        line = capsys.readouterr().err
        assert (ended.value.code, line.count("\n")) == (2, 1)
        assert "this user has no home folder; set HOME, or write it from / on" in line

    def test_the_local_cloud_whose_folders_are_given(self, tmp_path: Path) -> None:
        assert main(["--home", str(tmp_path), "status"]) == 3

    def test_the_toolchain(self, tmp_path: Path) -> None:
        with pytest.raises(ToolchainError, match="set HOME or ALPINE_OMI_CACHE"):
            store.cache_folder()
        for tool in TOOLS:
            find_installed(tool, tmp_path)
