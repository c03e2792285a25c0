"""sign.sh alone: only the program that signs gets the key."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.e2e.project import TOP

STEPS = Path("examples/ci/steps")
KEY = "-----BEGIN OPENSSH PRIVATE KEY-----\nmarked\n-----END OPENSSH PRIVATE KEY-----"
NOTES = """#!/bin/sh
printf '%s ' "$@" >>'{top}/calls'
printf '%s\\n' "${{ALPINE_OMI_SIGNING_KEY-none}}" >>'{top}/calls'
exec /usr/bin/env "{program}" "$@"
"""


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A checkout with the steps and stand-ins for the tools."""
    (tmp_path / STEPS).mkdir(parents=True)
    for name in ("sign.sh", "common.sh"):
        shutil.copy(TOP / STEPS / name, tmp_path / STEPS / name)
    (tmp_path / "toolchain").mkdir()
    (tmp_path / "toolchain" / "env.sh").touch()
    (tmp_path / "bin").mkdir()
    for name, program in (("python", "true"), ("mkdir", shutil.which("mkdir")), ("cat", shutil.which("cat"))):
        stand_in = tmp_path / "bin" / name
        stand_in.write_text(NOTES.format(top=tmp_path, program=program), encoding="utf-8")
        stand_in.chmod(0o755)
    return tmp_path


@pytest.mark.parametrize("as_file", [True, False])
def test_the_key_goes_to_the_program_that_signs_and_to_no_other(checkout: Path, as_file: bool) -> None:
    (checkout / "key").write_text(f"{KEY}\n", encoding="utf-8")
    given = {"STACK": "test", "PULUMI_BACKEND_URL": "file:///none", "OSC_ACCESS_KEY": "a", "OSC_SECRET_KEY": "b"}
    given |= {"ALPINE_OMI_SIGNING_KEY": str(checkout / "key") if as_file else KEY}
    done = subprocess.run(
        [STEPS / "sign.sh"], cwd=checkout, env={**given, "PATH": f"{checkout / 'bin'}:{os.environ['PATH']}"},
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    calls = (checkout / "calls").read_text(encoding="utf-8")
    assert calls.endswith(f"-m omi publish -s test {KEY}\n")
    assert calls.count("marked") == 1
    assert calls.startswith("-p build/ci none\n")
