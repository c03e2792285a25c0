"""`. toolchain/env.sh` in the shells people use."""

import os
import shutil
import subprocess
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path

import pytest

from tests.toolchain.makers import write_program
from toolchain.tools import TOOLCHAIN

SHELLS = [shell for shell in ("dash", "bash", "zsh", "busybox") if shutil.which(shell)]


@pytest.fixture
def top(tmp_path: Path) -> Path:
    """A checkout (with a space in its name) whose set-up is done."""
    top = tmp_path / "the check out"
    (top / "toolchain").mkdir(parents=True)
    shutil.copy(TOOLCHAIN / "env.sh", top / "toolchain")
    write_program(top / ".venv" / "bin" / "python", "#!/bin/sh\n")
    tools = tmp_path / "cache" / "0123"
    (tools / "bin").mkdir(parents=True)
    (tools / "tools.json").write_text("{}")
    (top / ".venv" / "toolchain").symlink_to(tools)
    return top


def source(
    shell: str, script: str, *, cwd: Path, env: Mapping[str, str] | None = None
) -> "subprocess.CompletedProcess[str]":
    """Run a script in a shell with a bare environment."""
    bare = {"PATH": os.environ["PATH"], "HOME": str(cwd), **(env or {})}
    words = [shell, "sh", "-c", script] if shell == "busybox" else [shell, "-c", script]
    return subprocess.run(words, cwd=cwd, env=bare, capture_output=True, text=True, timeout=30, check=False)


def variables(text: str) -> dict[str, str]:
    return dict(line.split("=", 1) for line in text.splitlines() if "=" in line)


@pytest.mark.parametrize("shell", SHELLS)
def test_a_user_without_a_home_is_told_what_to_set(shell: str, top: Path) -> None:
    done = source(shell, "unset HOME; . toolchain/env.sh", cwd=top)
    assert done.returncode == 1
    assert done.stderr == "toolchain/env.sh: HOME is not set: set it, or ALPINE_OMI_STATE to a folder for state\n"
    assert source(shell, "unset HOME; . toolchain/env.sh", cwd=top, env={"ALPINE_OMI_STATE": str(top)}).returncode == 0


@pytest.mark.parametrize("shell", SHELLS)
def test_the_tools_come_first_on_path_and_the_venv_before_them(shell: str, top: Path) -> None:
    done = source(shell, "set -u; . toolchain/env.sh && env", cwd=top)
    assert done.returncode == 0, done.stderr
    env = variables(done.stdout)
    tools = (top / ".venv" / "toolchain").resolve()
    assert env["PATH"].split(":")[:2] == [str(top / ".venv/bin"), str(tools / "bin")]
    assert env["VIRTUAL_ENV"] == str(top / ".venv")
    assert env["PULUMI_HOME"] == str(tools / "pulumi-home")
    assert env["PACKER_PLUGIN_PATH"] == str(tools / "packer-plugins")
    assert env["PULUMI_CONFIG_PASSPHRASE"] == ""
    assert env["PULUMI_DISABLE_AUTOMATIC_PLUGIN_ACQUISITION"] == "true"
    assert env["CHECKPOINT_DISABLE"] == "1"
    assert env["PULUMI_LOG_ROTATION_MAX_TOTAL_MB"] == "50"
    assert env["PULUMI_CONTINUE_ON_ERROR"] == "true"


@pytest.mark.parametrize("shell", SHELLS)
def test_the_backend_is_made_in_the_state_folder(shell: str, top: Path, tmp_path: Path) -> None:
    state = tmp_path / "state"
    done = source(shell, ". toolchain/env.sh && env", cwd=top, env={"ALPINE_OMI_STATE": str(state)})
    assert variables(done.stdout)["PULUMI_BACKEND_URL"] == f"file://{state}/pulumi"
    assert (state / "pulumi").is_dir()


@pytest.mark.parametrize("shell", SHELLS)
def test_a_second_time_changes_nothing(shell: str, top: Path) -> None:
    done = source(shell, '. toolchain/env.sh; a=$PATH; . toolchain/env.sh; [ "$a" = "$PATH" ] && echo same', cwd=top)
    assert done.stdout.strip() == "same"


@pytest.mark.parametrize("shell", SHELLS)
def test_what_the_user_set_is_kept(shell: str, top: Path) -> None:
    mine = {
        "PULUMI_BACKEND_URL": "s3://mine",
        "PULUMI_PARALLEL": "1",
        "PULUMI_CONTINUE_ON_ERROR": "false",
        "PULUMI_CONFIG_PASSPHRASE_FILE": "/etc/hostname",
    }
    env = variables(source(shell, ". toolchain/env.sh && env", cwd=top, env=mine).stdout)
    assert {name: env.get(name) for name in mine} == mine
    assert "PULUMI_CONFIG_PASSPHRASE" not in env


@pytest.mark.parametrize("shell", SHELLS)
def test_a_missing_set_up_is_one_line_and_the_shell_lives(shell: str, top: Path) -> None:
    (top / ".venv" / "toolchain").unlink()
    done = source(shell, ". toolchain/env.sh; echo status $?; env", cwd=top)
    assert done.stdout.startswith("status 1\n")
    assert "PULUMI_HOME" not in done.stdout
    assert done.stderr.count("\n") == 1
    assert "make tools" in done.stderr


@pytest.mark.parametrize("shell", SHELLS)
def test_from_another_folder(shell: str, top: Path, tmp_path: Path) -> None:
    done = source(shell, f'. "{top}/toolchain/env.sh"; echo "${{VIRTUAL_ENV-none}}"', cwd=tmp_path)
    if shell in ("bash", "zsh"):
        assert done.stdout.strip() == str(top / ".venv")
    else:
        assert done.stdout.strip() == "none"
        assert "cd to the top of the project" in done.stderr


@pytest.mark.slow
def test_pulumi_removes_its_oldest_logs_beyond_the_bound(tmp_path: Path) -> None:
    logs = tmp_path / "home" / "logs"
    logs.mkdir(parents=True)
    (tmp_path / "Pulumi.yaml").write_text("name: test\nruntime: python\n", encoding="utf-8")
    for hour in (1, 2, 3):
        (logs / f"test-{datetime.now(UTC):%Y%m%d}T0{hour}0000.log").write_bytes(bytes(700_000))
    homes = {"PULUMI_HOME": str(tmp_path / "home"), "PULUMI_BACKEND_URL": tmp_path.as_uri()}
    environment = {**os.environ, **homes, "PULUMI_LOG_ROTATION_MAX_TOTAL_MB": "1"}
    subprocess.run(["pulumi", "stack", "ls"], cwd=tmp_path, env=environment, check=True, timeout=60)
    assert [path.name[-10:] for path in logs.glob("test-*.log")] == ["030000.log"]
