"""How every command ends: a reader that went away, and files that are called after images."""

from __future__ import annotations

import functools
import os
import re
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from omi.cli.main import COMMANDS, EXIT_CODES, GROUPS, main
from omi.publish.documents.kinds import SUFFIXES, file_name
from omi.support.errors import OmiError
from omi.support.places import file_name_of, name_of_file
from omi.support.running import CLOSED_PIPE, INTERRUPTED
from tests.omi.conftest import TOP

PRINTS = """
import sys
from omi.cli.main import COMMANDS, main
COMMANDS["images"] = (lambda: print("row\\n" * {rows}), "")
sys.exit(main(["images"]))
"""
TELLS = """
import sys
from omi.cli.main import COMMANDS, main
from omi.support.narration import tell
COMMANDS["images"] = (lambda: tell("a line") or print("done"), "")
sys.exit(main(["images"]))
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
    ["sandbox", "sandbox --help", "omi images --help"],
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


@pytest.mark.parametrize("closed", ["<&-", ">&-", "2>&-", "<&- >&- 2>&-"])
@pytest.mark.parametrize(
    ("words", "code"),
    [
        ("omi --help", 0),
        ("omi site --releases nowhere", 2),
        ("omi.commands update", 8),
        ("sandbox --home {} status", 3),
        ("sandbox --help", 0),
    ],
)
def test_a_closed_stream_changes_no_exit_code_and_leads_nothing_astray(
    words: str, code: int, closed: str, tmp_path: Path
) -> None:
    command = f"{sys.executable} -m {words.format(tmp_path)} {closed}"
    ended = subprocess.run(
        ["sh", "-c", command], cwd=TOP, capture_output=True, input="", text=True, timeout=60, check=False
    )
    assert ended.returncode == code, ended.stderr
    assert "Traceback" not in ended.stderr + ended.stdout
    assert "2>&-" not in closed or "error" not in ended.stdout + ended.stderr


@pytest.mark.parametrize(
    ("words", "module"),
    [("omi plan -s x", "typer"), ("omi.commands update", "tempfile"), ("sandbox status", "botocore")],
)
def test_an_interrupt_while_modules_load_is_no_traceback(words: str, module: str, tmp_path: Path) -> None:
    (tmp_path / f"{module}.py").write_text("import os, signal\nos.kill(os.getpid(), signal.SIGINT)\n", encoding="utf-8")
    ended = subprocess.run(
        [sys.executable, "-m", *words.split()],
        cwd=TOP,
        env={**os.environ, "PYTHONPATH": str(tmp_path)},
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # a shell's background job ignores it
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (ended.returncode, ended.stderr) == (-signal.SIGINT, "")


@pytest.mark.parametrize("unbuffered", ["", "1"])
@pytest.mark.parametrize("words", ["omi --help", "sandbox --home nowhere status"])
def test_a_full_disk_behind_the_output_is_one_line(words: str, unbuffered: str) -> None:
    with Path("/dev/full").open("w") as full:
        ended = subprocess.run(
            [sys.executable, "-m", *words.split()],
            cwd=TOP,
            env={**os.environ, "PYTHONUNBUFFERED": unbuffered},
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            timeout=60,
            check=False,
        )
    assert (ended.returncode, ended.stderr.count("\n")) == (1, 1), ended.stderr
    assert "can't be written: No space left on device" in ended.stderr


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


def test_help_names_every_command_with_what_it_does_and_the_exit_codes(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--help"]) == 0
    shown = capsys.readouterr().out
    assert all(f" {name.split()[0]} " in shown for name in COMMANDS)
    for group in GROUPS:
        assert main([group, "--help"]) == 0
        inner = capsys.readouterr().out
        assert all(f" {name.split()[1]} " in inner for name in COMMANDS if name.startswith(f"{group} "))
    assert not any(f"│ {name} " in shown for name in ("supervise", "update", "delete", "adopt"))
    errors = {OmiError.exit_code, *(error.exit_code for error in every_error(OmiError))}
    told = {int(code) for code in re.findall(r"(?:: |; ?\n? ?)(\d+) ", EXIT_CODES.replace("\n", " "))}
    assert told == {0, *errors, INTERRUPTED, CLOSED_PIPE}


def test_help_names_the_new_command_for_each_of_the_old_tools(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--help"]) == 0
    shown = " ".join(capsys.readouterr().out.split())
    for old, new in {
        "omis PROFILE": "pulumi up",
        "omis PROFILE BUILD": "build",
        "prune-amis": "prune",
        "gen-release-readme": "publish",
    }.items():
        assert f"for `{old}` run `{new}`" in shown
        assert new == "pulumi up" or new in COMMANDS


def every_error(above: type[OmiError]) -> Iterator[type[OmiError]]:
    for error in above.__subclasses__():
        yield error
        yield from every_error(error)


@pytest.mark.parametrize("name", COMMANDS)
def test_the_help_of_a_command_has_an_example_that_it_takes(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([*name.split(), "--help"]) == 0
    shown = capsys.readouterr().out
    (example,) = (line.strip() for line in shown.splitlines() if line.strip().startswith("Example: "))
    assert example == f"Example: python -m omi {COMMANDS[name][1]}"
    taken: list[dict[str, object]] = []
    noting = {name: (recording(COMMANDS[name][0], taken), COMMANDS[name][1])}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("omi.cli.main.COMMANDS", {**COMMANDS, **noting})
        assert main(COMMANDS[name][1].split()) == 0
    assert len(taken) == 1


def recording(function: Callable[..., None], taken: list[dict[str, object]]) -> Callable[..., None]:
    """A command of the same arguments that only notes them."""

    @functools.wraps(function)
    def note(**given: object) -> None:
        taken.append(given)

    return note


def test_a_wrong_argument_is_one_line_with_the_cure(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["sweep"]) == 2
    assert capsys.readouterr().err == (
        "error: omi sweep: missing option '--stack' / '-s'; see `python -m omi sweep --help`\n"
    )
    assert main(["bild"]) == 2
    assert "error: omi: no such command 'bild'" in capsys.readouterr().err


def test_the_version_is_the_change_logs_newest(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--version"]) == 0
    newest = re.search(r"^## (\S+)", (TOP / "CHANGELOG.md").read_text(encoding="utf-8"), re.MULTILINE)
    assert newest
    assert capsys.readouterr().out == f"omi {newest[1]}\n"
