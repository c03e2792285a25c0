"""The profile's own checks: scripts that run in the verify VM, here by this machine's sh."""

from __future__ import annotations

import os
import threading
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from omi.verify.boot import Verification
from omi.verify.ssh import Door


@pytest.fixture(autouse=True)
def local_ssh(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An ssh that runs scripts here, as the real one's `sh -s` does there."""
    (tmp_path / "ssh").write_text("#!/bin/sh\nexec sh -s\n")
    (tmp_path / "ssh").chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")


def run(tests: dict[str, str], noted: list[str] | None = None) -> list[str]:
    """Why each test that failed did."""
    verification = Verification(
        cloud=cast("Any", SimpleNamespace(limits=SimpleNamespace(command=1.0))),
        identity=cast("Any", None),
        group_id="sg-1",
        finished=None,
        folder=Path(),
        narrator=cast("Any", SimpleNamespace(say=lambda line: None, note=[].append if noted is None else noted.append)),
        stop=threading.Event(),
        tests=tests,
    )
    return list(verification.run_own_tests(Door("vm", 22, "alpine", Path("key"))))


def test_tests_that_succeed_fail_nothing_and_are_in_the_log() -> None:
    noted: list[str] = []
    assert run({"web": "echo fine\n"}, noted) == []
    assert noted == ["test web: exit code 0\nfine\n"]


def test_each_that_fails_is_named_with_its_last_lines() -> None:
    assert run({"b": "exit 1\n", "a": "seq 9\nexit 3\n", "c": "true\n"}) == [
        "the profile's test a failed with exit code 3: 5 | 6 | 7 | 8 | 9",
        "the profile's test b failed with exit code 1: no output",
    ]


def test_one_that_does_not_end_fails_with_the_last_lines_that_it_wrote() -> None:
    failed = "the profile's test slow failed with exit code 255"
    assert run({"slow": "sleep 60\n"}) == [f"{failed}: no end after 1 s"]
    assert run({"slow": "seq 9; echo waits >&2; sleep 60\n"}) == [f"{failed}: 7 | 8 | 9 | waits | no end after 1 s"]


@pytest.mark.parametrize("script", ["no-such-command-here\n", "if true\n", "set -u; echo $nothing\n"])
def test_a_script_that_is_wrong_is_a_failure(script: str) -> None:
    assert len(run({"wrong": script})) == 1


LONG = "# what no command may take from the script\n" * 1000
"""More than any shell reads ahead."""


@pytest.mark.parametrize("greedy", ["cat > /dev/null", "while read -r line; do :; done", "sh"])
def test_no_command_eats_the_rest_of_the_script(greedy: str) -> None:
    assert run({"web": f"#!/bin/sh\n{greedy}\n{LONG}exit 7"}) == [
        "the profile's test web failed with exit code 7: no output"
    ]


@pytest.mark.parametrize(
    "script",
    [
        "",
        "# nothing",
        "true # it's }",
        "cat << E\nit's }\nE",
        'test "$(readlink /proc/self/fd/0)" = /dev/null\n',
        f"{LONG}test 'é\\' != é",
    ],
)
def test_a_script_may_be_of_any_form(script: str) -> None:
    assert run({"web": script}) == []
