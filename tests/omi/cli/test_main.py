"""How every command ends: a reader that went away, and files that are called after images."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from omi.publish.documents.kinds import SUFFIXES, file_name
from omi.support.places import file_name_of, name_of_file
from omi.support.running import CLOSED_PIPE
from tests.omi.conftest import TOP

PRINTS = """
import sys
from omi.cli import main as program, stack
stack.images = lambda _: print("row\\n" * {rows}) or 0
sys.exit(program.main(["images"]))
"""
TELLS = """
import sys
from omi.cli import main as program, stack
from omi.support.narration import tell
stack.images = lambda _: tell("a line") or print("done") or 0
sys.exit(program.main(["images"]))
"""


@pytest.mark.parametrize("rows", [1, 100_000])
def test_a_reader_that_has_seen_enough_is_no_error(rows: int) -> None:
    reader, writer = os.pipe()
    os.close(reader)
    command = [sys.executable, "-c", PRINTS.format(rows=rows)]
    ended = subprocess.run(command, cwd=TOP, stdout=writer, stderr=subprocess.PIPE, text=True, timeout=60, check=False)
    os.close(writer)
    assert (ended.returncode, ended.stderr) == (CLOSED_PIPE, "")


@pytest.mark.parametrize(
    "module",
    ["omi.publish.outputs", "omi.profile.reference", "omi.publish", "sandbox", "sandbox --help", "omi images --help"],
)
def test_no_other_program_of_the_project_trips_over_it(module: str, tmp_path: Path) -> None:
    reader, writer = os.pipe()
    os.close(reader)
    words = [*module.split(), *(["--home", str(tmp_path), "status"] if module == "sandbox" else [])]
    command = [sys.executable, "-m", *words]
    ended = subprocess.run(command, cwd=TOP, stdout=writer, stderr=subprocess.PIPE, text=True, timeout=60, check=False)
    os.close(writer)
    assert ended.stderr == ""
    assert ended.returncode in {0, CLOSED_PIPE, -signal.SIGPIPE}


def test_what_is_told_to_nobody_stops_no_command() -> None:
    reader, writer = os.pipe()
    os.close(reader)
    command = [sys.executable, "-c", TELLS]
    ended = subprocess.run(command, cwd=TOP, stderr=writer, stdout=subprocess.PIPE, text=True, timeout=60, check=False)
    os.close(writer)
    assert (ended.returncode, ended.stdout) == (0, "done\n")


NAMES = st.text(st.sampled_from("aZ0_ ()/.-%2F5@"), min_size=1, max_size=8)


@given(NAMES, NAMES)
def test_only_images_of_one_name_share_a_file(one: str, other: str) -> None:
    assert (file_name_of(one) == file_name_of(other)) == (one == other)
    assert name_of_file(file_name_of(one)) == one
    assert "/" not in file_name_of(one)
    assert file_name_of(one) not in {".", ".."}


@pytest.mark.parametrize("kind", SUFFIXES)
def test_documents_of_similar_names_lie_apart(kind: str) -> None:
    assert len({file_name(name, kind) for name in ("a/b", "a_b", "a%2Fb")}) == 3
    assert file_name("alpine-3.23.6-x86_64-r0", kind) == "alpine-3.23.6-x86_64-r0" + SUFFIXES[kind]


def test_help_names_the_commands_of_people_and_what_each_does() -> None:
    done = subprocess.run([sys.executable, "-m", "omi", "--help"], capture_output=True, text=True, check=True, cwd=TOP)
    lines = [line.strip() for line in done.stdout.splitlines()]
    assert "doctor -s STACK [--json]" in lines
    assert not any(line.startswith(("supervise", "update", "delete")) for line in lines)
    told = dict(zip(lines[2:-2:2], lines[3:-2:2], strict=True))
    assert all(len(what) > 20 for what in told.values()), told
