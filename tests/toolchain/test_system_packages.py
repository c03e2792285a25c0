"""toolchain/system-packages.sh with fake package managers."""

import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.toolchain.makers import write_program
from toolchain.tools import TOOLCHAIN

SCRIPT = TOOLCHAIN / "system-packages.sh"
NEEDED = ("sh", "dirname", "mktemp", "tail", "rm", "timeout", "env", "cat", "echo")


@dataclass(frozen=True)
class Host:
    """A machine whose PATH holds only what the test put there."""

    bin: Path
    log: Path
    list: Path

    def program(self, name: str, body: str) -> None:
        write_program(self.bin / name, f"#!/bin/sh\n{body}\n")

    def run(self) -> "subprocess.CompletedProcess[str]":
        return subprocess.run(
            ["/bin/sh", SCRIPT, "--list", self.list],
            env={"PATH": str(self.bin), "TMPDIR": str(self.bin)},
            capture_output=True,
            text=True,
            timeout=30,
            check=False,
        )

    def asked(self) -> str:
        """What apt-get was called with."""
        return self.log.read_text() if self.log.exists() else ""


@pytest.fixture
def host(tmp_path: Path) -> Host:
    """Debian, root, with `here` installed and `gone` not."""
    path = tmp_path / "bin"
    path.mkdir()
    for name in NEEDED:
        found = shutil.which(name)
        assert found
        (path / name).symlink_to(found)
    list_file = tmp_path / "packages.txt"
    list_file.write_text(
        "# package probe # reason\nhere sh # there\ngone gone-program # not there\n\nlost /no/path # no\n"
    )
    host = Host(bin=path, log=tmp_path / "apt.log", list=list_file)
    host.program("dpkg-query", 'for last in "$@"; do :; done; [ "$last" = here ] && printf installed')
    host.program("apt-get", f'echo "$*" >>"{host.log}"')
    host.program("python3", "exit 0")
    host.program("id", "echo 0")
    return host


def test_nothing_missing_calls_no_apt(host: Host) -> None:
    host.list.write_text("here sh # there\n")
    done = host.run()
    assert (done.returncode, done.stdout, done.stderr, host.asked()) == (0, "", "", "")


def test_root_installs_just_what_is_missing(host: Host) -> None:
    done = host.run()
    assert done.returncode == 0, done.stderr
    update, install = host.asked().splitlines()
    assert update.endswith("update")
    assert install.endswith("install -y --no-install-recommends gone lost")
    assert done.stdout.count("\n") == 1


def test_sudo_without_a_password_is_used(host: Host) -> None:
    host.program("id", "echo 1000")
    host.program("sudo", f'echo sudo >>"{host.log}"; shift; exec "$@"')
    host.program("true", "exit 0")
    assert host.run().returncode == 0
    assert host.asked().count("sudo") == 3


def test_without_rights_the_line_to_run_is_printed(host: Host) -> None:
    host.program("id", "echo 1000")
    host.program("sudo", "exit 1")
    done = host.run()
    assert done.returncode == 1
    assert "sudo apt-get install -y --no-install-recommends gone lost" in done.stderr.splitlines()[-1]
    assert host.asked() == ""


def test_a_failing_apt_shows_its_end_and_the_line_to_run(host: Host) -> None:
    host.program("apt-get", "echo 'E: no such mirror' >&2; exit 100")
    done = host.run()
    assert done.returncode == 1
    assert "E: no such mirror" in done.stderr
    assert done.stderr.splitlines()[-1].endswith("gone lost")


def test_other_systems_get_the_names_of_the_programs(host: Host) -> None:
    (host.bin / "apt-get").unlink()
    (host.bin / "dpkg-query").unlink()
    done = host.run()
    assert done.returncode == 1
    assert "missing: gone-program /no/path" in done.stderr


def test_python_without_venv_is_a_missing_package(host: Host) -> None:
    host.program("python3", "exit 1")
    host.run()
    assert host.asked().splitlines()[-1].endswith("gone lost python3-venv")


@pytest.mark.parametrize("name", ["system-packages.txt", "browser-packages.txt"])
def test_every_package_has_a_probe_and_a_reason(name: str) -> None:
    for line in (TOOLCHAIN / name).read_text().splitlines():
        if line and not line.startswith("#"):
            facts, _, reason = line.partition("#")
            assert len(facts.split()) == 2, line
            assert reason.strip(), line
