"""Stacks of one checkout: what each of them writes is its own."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import pytest
import yaml

from omi.config.settings import Settings
from omi.config.stack import check_own_releases, exported_state, stack_config
from omi.support.errors import NoStackError, SettingsError
from tests.omi.conftest import TOP
from tests.sandbox.client import wait_for


def stack(folder: Path, name: str, **values: object) -> Settings:
    config = {f"alpine-omi:{key}": value for key, value in {"region": "eu-west-2", **values}.items()}
    (folder / f"Pulumi.{name}.yaml").write_text(yaml.safe_dump({"config": config}), encoding="utf-8")
    return Settings.load(stack_config(name, folder))


def test_two_stacks_that_write_the_same_releases_file_are_told_of_each_other(tmp_path: Path) -> None:
    stack(tmp_path, "one")
    two = stack(tmp_path, "two", cloud={"osc_profile": "another-account"})
    with pytest.raises(SettingsError, match=r"releases_dir: 'releases': stack one .*alpine.yaml for eu-west-2 there"):
        check_own_releases(two, "two", tmp_path)


@pytest.mark.parametrize(
    "other", [{"releases_dir": "releases/two"}, {"region": "us-east-2"}, {"profile": "web"}, {"region": 7}]
)
def test_another_folder_region_or_profile_is_no_clash(tmp_path: Path, other: dict[str, object]) -> None:
    one = stack(tmp_path, "one")
    if other.get("region") == 7:  # a file that can't be read is its own stack's matter
        (tmp_path / "Pulumi.two.yaml").write_text("config: 7")
    else:
        stack(tmp_path, "two", **other)
    check_own_releases(one, "one", tmp_path)


def test_a_folder_by_another_name_is_the_same(tmp_path: Path) -> None:
    stack(tmp_path, "one", releases_dir="./releases/../releases")
    with pytest.raises(SettingsError, match="stack one"):
        check_own_releases(stack(tmp_path, "two"), "two", tmp_path)


def test_a_stack_that_the_backend_lacks_names_the_command_that_makes_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pulumi = tmp_path / "pulumi"
    pulumi.write_text("#!/bin/sh\necho \"error: no stack named 'one' found\" >&2\nexit 255\n", encoding="utf-8")
    pulumi.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    with pytest.raises(
        NoStackError, match=r"^stack 'one': .*; `pulumi stack select --create one` makes it, or set PUL"
    ):
        exported_state("one")


_PULUMI = """\
#!/bin/sh
trap 'sleep 0.6; echo cancelled >> log; exit 1' INT
: > started
while :; do sleep 0.1; done
"""
_OMI = """\
import sys
from omi.config.stack import configure, empty_state, update
from omi.support.running import run
work = {"update": lambda: update("one", {}), "config": lambda: configure("one", "a", {"": 1}) or 0,
        "state": lambda: empty_state("one") or 0}
sys.exit(run(work[sys.argv[1]]))
"""


@pytest.mark.parametrize("to_all", [True, False], ids=["Ctrl-C", "SIGTERM"])
@pytest.mark.parametrize("work", ["update", "config", "state"])
def test_an_interrupted_pulumi_ends_by_itself_and_is_interrupted_once(work: str, to_all: bool, tmp_path: Path) -> None:
    pulumi = tmp_path / "pulumi"
    pulumi.write_text(_PULUMI, encoding="utf-8")
    pulumi.chmod(0o755)
    process = subprocess.Popen(
        [sys.executable, "-c", _OMI, work],
        cwd=tmp_path,
        env={**os.environ, "PATH": f"{tmp_path}:{os.environ['PATH']}", "PYTHONPATH": str(TOP)},
        start_new_session=True,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        wait_for((tmp_path / "started").exists, bool)
        if to_all:  # as a terminal does
            os.killpg(process.pid, signal.SIGINT)
        else:
            process.terminate()
        _, err = process.communicate(timeout=60)
    finally:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
    assert (tmp_path / "log").read_text(encoding="ascii") == "cancelled\n"
    assert (process.returncode, err) == (130, "error: interrupted\n")
