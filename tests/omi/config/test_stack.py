"""Stacks of one checkout: what each of them writes is its own."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
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


def test_images_of_a_profile_that_the_stack_has_left_are_written_too(tmp_path: Path) -> None:
    stack(tmp_path, "one")
    two = stack(tmp_path, "two", profile="web")
    check_own_releases(two, "two", tmp_path, [("web", "eu-west-2"), ("alpine", "us-east-2")])
    with pytest.raises(SettingsError, match=r"stack one .*alpine.yaml for eu-west-2 there"):
        check_own_releases(two, "two", tmp_path, [("alpine", "eu-west-2")])


def test_a_folder_of_a_person_whom_this_machine_lacks_is_its_own_stacks_matter(tmp_path: Path) -> None:
    one = stack(tmp_path, "one")
    two = stack(tmp_path, "two", releases_dir="~nobody-of-this-name/feeds")
    check_own_releases(one, "one", tmp_path)
    with pytest.raises(
        SettingsError, match=r"^stack config: releases_dir: ~nobody-of-this-name/feeds: there is no home"
    ):
        check_own_releases(two, "two", tmp_path)


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
for signal in INT TERM HUP; do trap "echo $signal >> log; cancelled=1" $signal; done
: > log
: > started
while [ ! -e end ] && [ -z "$cancelled" ]; do sleep 0.1; done
sleep 0.5
: > ended
"""
_OMI = """\
import sys
from omi.config.stack import configure, empty_state, update
from omi.support.running import run
work = {"update": lambda: update("one", {}), "config": lambda: configure("one", "a", {"": 1}) or 0,
        "state": lambda: empty_state("one") or 0}
sys.exit(run(work[sys.argv[1]]))
"""


@contextmanager
def running(work: str, folder: Path, stdin: int = subprocess.DEVNULL) -> Iterator[subprocess.Popen[str]]:
    """A command of people that runs a Pulumi, which notes the signals that it gets, in `log`."""
    pulumi = folder / "pulumi"
    pulumi.write_text(_PULUMI, encoding="utf-8")
    pulumi.chmod(0o755)
    process = subprocess.Popen(
        [sys.executable, "-c", _OMI, work],
        cwd=folder,
        env={**os.environ, "PATH": f"{folder}:{os.environ['PATH']}", "PYTHONPATH": str(TOP)},
        start_new_session=True,
        stdin=stdin,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        wait_for((folder / "started").exists, bool)
        yield process
    finally:
        (folder / "end").touch()
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait(60)


def interrupted(process: subprocess.Popen[str], folder: Path) -> str:
    """Check that it ended as interrupted once its Pulumi had ended; returns what that got."""
    _, err = process.communicate(timeout=60)
    assert (process.returncode, err) == (130, "error: interrupted\n")
    assert (folder / "ended").exists()
    return (folder / "log").read_text(encoding="ascii")


@pytest.mark.parametrize("to_all", [True, False], ids=["group", "alone"])
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_an_interrupted_update_is_cancelled_once(number: signal.Signals, to_all: bool, tmp_path: Path) -> None:
    with running("update", tmp_path) as process:
        for _ in range(2):
            os.killpg(process.pid, number) if to_all else process.send_signal(number)
        assert interrupted(process, tmp_path) == "INT\n"


def test_at_a_terminal_ctrl_c_reaches_an_update_by_itself(tmp_path: Path) -> None:
    terminal, end = os.openpty()
    with running("update", tmp_path, stdin=end) as process:
        os.killpg(process.pid, signal.SIGINT)
        assert interrupted(process, tmp_path) == "INT\n"
    os.close(terminal)
    os.close(end)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("work", ["config", "state"])
def test_an_interrupted_change_of_config_or_state_is_made(work: str, number: signal.Signals, tmp_path: Path) -> None:
    with running(work, tmp_path) as process:
        os.killpg(process.pid, number)
        (tmp_path / "end").touch()
        assert interrupted(process, tmp_path) == ""


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("'[\"012345678901\"]'", ["012345678901"]),
        ("'{\"keep\": 2}'", {"keep": 2}),
        ("true", "true"),
        ("'[1'", "[1"),
        ("12", "12"),
        ("null", None),
    ],
)
def test_a_setting_is_what_pulumi_makes_of_it(text: str, value: object, tmp_path: Path) -> None:
    (tmp_path / "Pulumi.one.yaml").write_text(f"config:\n  alpine-omi:a: {text}\n  other:b: 1\n", encoding="utf-8")
    assert stack_config("one", tmp_path) == {"a": value}


def test_an_unknown_setting_without_a_value_is_named(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="nonsense: unknown setting"):
        stack(tmp_path, "one", nonsense=None)
