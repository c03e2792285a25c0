"""toolchain/venv.sh with fake Pythons, and what `make tools` runs."""

import os
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.toolchain.makers import write_program
from toolchain.tools import TOOLCHAIN

TOP = TOOLCHAIN.parent

# A Python of $VERSION (311 for 3.11), with a venv module or without ($MODULE).
PYTHON = """\
#!/bin/sh
case "$1 $2" in
"-c "*version_info*sys.exit*|"-c "*sys.exit*version_info*) [ "$VERSION" -ge 311 ] ;;
"-c "*version_info*) echo "3.${VERSION#3}" ;;
"-c import ensurepip"*) [ "$MODULE" = yes ] ;;
"-c import pip") exit 0 ;;
"-m venv") mkdir -p "$3/bin" && cp "$0" "$3/bin/python" ;;
"-m pip") echo "$*" >>pip.log; [ "$PIP" = works ] || { echo "no index" >&2; exit 1; } ;;
esac
"""


@dataclass(frozen=True)
class Checkout:
    """A project folder on a machine whose PATH has a shell's own programs and a Python."""

    folder: Path

    def run(
        self, version: int = 311, module: str = "yes", pip: str = "works", python: str = "python3"
    ) -> "subprocess.CompletedProcess[str]":
        return subprocess.run(
            ["/bin/sh", TOOLCHAIN / "venv.sh", python],
            cwd=self.folder,
            env={"PATH": str(self.folder / "bin"), "VERSION": str(version), "MODULE": module, "PIP": pip},
            capture_output=True,
            text=True,
            timeout=30,
            check=False,
        )

    def asked(self) -> list[str]:
        """What pip was called with."""
        log = self.folder / "pip.log"
        return log.read_text().splitlines() if log.exists() else []


@pytest.fixture
def checkout(tmp_path: Path) -> Checkout:
    (tmp_path / "bin").mkdir()
    for name in ("cmp", "cp", "rm", "mkdir"):
        found = shutil.which(name)
        assert found
        (tmp_path / "bin" / name).symlink_to(found)
    write_program(tmp_path / "bin" / "python3", PYTHON)
    (tmp_path / "requirements.txt").write_text("pulumi==3.259.0\n")
    return Checkout(tmp_path)


def test_the_environment_is_made_once_and_again_when_the_pins_change(checkout: Checkout) -> None:
    assert checkout.run().returncode == 0
    assert checkout.run().stdout == ""
    assert len(checkout.asked()) == 1
    (checkout.folder / "requirements.txt").write_text("pulumi==3.260.0\n")
    assert checkout.run().returncode == 0
    assert len(checkout.asked()) == 2


def test_it_is_made_again_when_its_python_is_gone(checkout: Checkout) -> None:
    checkout.run()
    (checkout.folder / ".venv/bin/python").unlink()
    assert checkout.run().returncode == 0
    assert len(checkout.asked()) == 2


def test_a_failing_pip_is_tried_again(checkout: Checkout) -> None:
    done = checkout.run(pip="fails")
    assert done.returncode == 1
    assert "see that it reaches its package index" in done.stderr
    assert checkout.run().returncode == 0


@pytest.mark.parametrize(
    ("version", "module", "python", "said"),
    [
        (310, "yes", "python3", "python3 is Python 3.10, but 3.11 or newer is needed"),
        (312, "no", "python3", "has no venv module: install it (Debian, Ubuntu: sudo apt-get install python3.12-venv)"),
        (312, "yes", "python3.12", "python3.12 is not on PATH"),
    ],
)
def test_what_is_missing_is_one_line_with_the_cure(
    checkout: Checkout, version: int, module: str, python: str, said: str
) -> None:
    done = checkout.run(version=version, module=module, python=python)
    assert (done.returncode, done.stdout) == (1, "")
    assert said in done.stderr
    assert done.stderr.count("\n") == 1
    assert not (checkout.folder / ".venv").exists()


def test_make_tools_installs_no_system_package_and_make_setup_does() -> None:
    def steps(target: str) -> str:
        # A make that runs the tests hands its own flags on, and says where it works.
        env = {name: value for name, value in os.environ.items() if name not in ("MAKEFLAGS", "MAKELEVEL")}
        return subprocess.run(
            ["make", "-n", target], cwd=TOP, env=env, capture_output=True, text=True, timeout=30, check=True
        ).stdout

    place_tools = ".venv/bin/python -m toolchain.install"
    assert steps("tools") == f"toolchain/venv.sh python3\n{place_tools}\n"
    assert steps("setup") == f"toolchain/system-packages.sh\n{steps('tools')}"
