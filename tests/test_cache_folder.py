"""Program, local cloud and toolchain import nothing of each other, and keep what may be lost in one folder."""

from __future__ import annotations

from pathlib import Path

import pytest

from omi.support import places
from sandbox import config
from toolchain import store


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
