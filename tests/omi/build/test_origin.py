"""What an image is said to come from is what git and the tools say, or unknown."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from omi.build.origin import commit_of, read_origin
from omi.build.packer.tools import PackerTools


def git(folder: Path, *arguments: str) -> str:
    who = ["-c", "user.name=t", "-c", "user.email=t@example.org", "-c", "commit.gpgsign=false"]
    done = subprocess.run(
        ["git", "-C", str(folder), *who, *arguments], check=True, capture_output=True, text=True, timeout=30
    )
    return done.stdout.strip()


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    folder = tmp_path / "checkout"
    (folder / "releases").mkdir(parents=True)
    (folder / "profiles").mkdir()
    (folder / "profiles/alpine.yaml").write_text("builds: {}\n")
    git(folder, "init", "--quiet")
    git(folder, "add", ".")
    git(folder, "commit", "--quiet", "--message", "first")
    return folder


def test_a_clean_checkout_is_its_commit(checkout: Path) -> None:
    assert commit_of(checkout) == git(checkout, "rev-parse", "HEAD")


@pytest.mark.parametrize("path", ["profiles/alpine.yaml", "profiles/new.yaml"])
def test_what_is_not_committed_is_said(checkout: Path, path: str) -> None:
    (checkout / path).write_text("builds: null\n")
    assert commit_of(checkout) == git(checkout, "rev-parse", "HEAD") + "+changes"


def test_what_the_program_exports_is_no_change(checkout: Path) -> None:
    (checkout / "releases/alpine.yaml").write_text("exported\n")
    assert commit_of(checkout) == git(checkout, "rev-parse", "HEAD")


def test_outside_of_a_checkout_it_is_unknown(checkout: Path, tmp_path: Path) -> None:
    assert commit_of(tmp_path) == "unknown"
    assert commit_of(checkout / "profiles") == "unknown", "a checkout of something around it says nothing"
    assert commit_of(checkout, {**os.environ, "PATH": str(tmp_path)}) == "unknown", "without git"


def test_tools_are_asked_for_their_versions(tmp_path: Path) -> None:
    packer = tmp_path / "packer"
    packer.write_text("#!/bin/sh\necho 'Packer v1.16.0'\n")
    packer.chmod(0o755)
    tools = PackerTools(str(packer), str(tmp_path), (1, 0, 2))
    origin = read_origin(tmp_path, tools, {"PATH": f"{tmp_path}:/usr/bin:/bin"})
    assert origin.tools == {"pulumi": "unknown", "packer": "1.16.0", "packer-plugin-outscale": "1.0.2"}
