"""Which way each tool comes, and taking it."""

import hashlib
import os
import shutil
import tempfile
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from toolchain import installed
from toolchain.errors import MakerUnreachableError, ToolchainError
from toolchain.gobuild import architecture, compile_tool, find_go, module_folder
from toolchain.installed import Found
from toolchain.makers import Reach, fetch_release, install_command_plugin, install_outscale_plugin, unpack
from toolchain.pins import COMMAND_PLUGIN, LANGUAGE_HOST, OUTSCALE_PLUGIN, PACKER, PULUMI, TOOLS, GoBuild, Pins, Release
from toolchain.place import Label, Part, Store
from toolchain.processes import run
from toolchain.standin import place_stand_in, python_folder, stand_in_digest

WAYS = ("installed", "maker", "go")
LANGUAGE_HOST_FILES = (LANGUAGE_HOST, f"{LANGUAGE_HOST}-exec")
_SDK_MODULE = "github.com/pulumi/pulumi/sdk/v3"
_PLUGIN_LIMIT_SECONDS = 120.0
_STAND_IN = "stand-in"


class Chooser:
    """Takes every pinned tool by the first way that has it.

    `way` (one of WAYS) allows only that one; None allows all, in their order. `say` gets one line for what takes long
    and one for each tool.
    """

    def __init__(self, pins: Pins, store: Store, reach: Reach, way: str | None, say: Callable[[str], None]) -> None:
        self._pins, self._store, self._reach, self._way, self._say = pins, store, reach, way, say
        self._parts: dict[str, Part] = {}
        self._arch = architecture()

    def settle(self) -> Path:
        """The folder that holds all tools. Where all is there already, nothing is written and no lock is waited for."""
        parts = [self._ready(name) for name in TOOLS]
        settled = [part for part in parts if part]
        place = self._store.assembled(settled)
        if len(settled) < len(TOOLS) or not place.is_dir():
            with self._store.lock(self._say):
                settled = [self._take(name) for name in TOOLS]
                place = self._store.assemble(settled)
        for part in settled:
            label = part.label
            self._say(f"{label.name} {label.version}: {label.why}")
        return place

    def _ready(self, name: str) -> Part | None:
        """The part made by an earlier run, if it is what this run would take too."""
        if found := self._found(name):
            return self._store.find_part(name, "installed", _digest(found.signature()))
        for origin in ("maker", "go", _STAND_IN):
            if self._allowed("go" if origin == _STAND_IN else origin):
                part = self._store.find_part(name, origin, self._origin_digest(name, origin))
                if part and (origin != _STAND_IN or self._stand_in_python().exists()):
                    return part
        return None

    def _take(self, name: str) -> Part:
        part = self._ready(name) or self._make(name)
        self._parts[name] = part
        return part

    def _make(self, name: str) -> Part:
        if found := self._found(name):
            return self._from_installed(name, found)
        if self._way == "installed":
            raise ToolchainError(f"{name} {self._pins[name].version} is not installed, nor may another way be taken")
        reason = f"ALPINE_OMI_TOOLS_FROM={self._way}"
        if self._allowed("maker"):
            try:
                return self._from_maker(name)
            except MakerUnreachableError as error:
                if self._way == "maker":
                    raise
                reason = str(error)
        return self._stand_in(reason) if name == COMMAND_PLUGIN else self._compiled(name, reason)

    def _allowed(self, way: str) -> bool:
        return self._way in (None, way)

    def _found(self, name: str) -> Found | None:
        if not self._allowed("installed"):
            return None
        ours, version = self._store.folder, self._pins[name].version
        if name in (PULUMI, LANGUAGE_HOST):
            pulumi = installed.find_on_path(PULUMI, version, ours)
            host = pulumi and installed.find_language_host(pulumi.program, LANGUAGE_HOST_FILES)
            return pulumi if name == PULUMI and host else host
        if name == COMMAND_PLUGIN:
            return installed.find_command_plugin(version, ours)
        if name == PACKER:
            return installed.find_on_path(PACKER, version, ours)
        return installed.find_packer_plugin(version, ours)

    def _origin_digest(self, name: str, origin: str) -> str:
        pins, tool = self._pins, self._pins[name]
        if origin == _STAND_IN:
            return stand_in_digest(pins[PULUMI].version)
        if origin == "maker":
            release = tool.release or _release(pins[PULUMI].release, name)
            return _digest(f"{release.url_pattern} {tool.version} {self._arch} {sorted(release.sha256.items())}")
        if name == COMMAND_PLUGIN:
            return _digest("never compiled")
        # The language host's shim comes with the SDK that Pulumi's own module pins.
        with_it = _build(pins[PULUMI].go, PULUMI).digest() if name == LANGUAGE_HOST else ""
        return _digest(f"{_build(tool.go, name).digest()} {with_it} {self._arch}")

    def _from_installed(self, name: str, found: Found) -> Part:
        def make(tree: Path) -> None:
            for path, place in found.files:
                (tree / place).parent.mkdir(parents=True, exist_ok=True)
                if name == OUTSCALE_PLUGIN:  # Packer looks for plugins that are regular files
                    shutil.copy2(path, tree / place)
                else:
                    (tree / place).symlink_to(path.absolute())

        why = f"found at {found.program}"
        label = Label(name, self._pins[name].version, "installed", _FLAVOUR[name], found.files[0][1], why)
        return self._store.make_part(label, _digest(found.signature()), make)

    def _from_maker(self, name: str) -> Part:
        tool = self._pins[name]
        release = tool.release or _release(self._pins[PULUMI].release, name)
        self._reach.check(release.url(self._arch))
        self._say(f"{name} {tool.version}: fetching the maker's release")
        main, why = f"bin/{name}", "the maker's release, SHA-256 as pinned"
        if name == COMMAND_PLUGIN:
            main = _command_plugin_main(tool.version)
            why = "the maker's release, SHA-256 as in the maker's checksum file"
        elif name == OUTSCALE_PLUGIN:
            main = self._outscale_main(tool.version)
            why = "the maker's release, SHA-256 as in the maker's checksum file"

        def make(tree: Path) -> None:
            (tree / "bin").mkdir()
            if name == COMMAND_PLUGIN:
                install_command_plugin(release, self._arch, self._parts[PULUMI], tree / "pulumi-home")
            elif name == OUTSCALE_PLUGIN:
                install_outscale_plugin(release, self._parts[PACKER], tree / "packer-plugins")
            else:
                self._unpack_release(release, name, tree / "bin")

        label = Label(name, tool.version, "maker", _FLAVOUR[name], main, why)
        return self._store.make_part(label, self._origin_digest(name, "maker"), make)

    def _unpack_release(self, release: Release, name: str, folder: Path) -> None:
        """One download serves Pulumi and its language host."""
        files = {PULUMI: (PULUMI, *LANGUAGE_HOST_FILES), LANGUAGE_HOST: (PULUMI, *LANGUAGE_HOST_FILES)}.get(
            name, (name,)
        )

        def make(unpacked: Path) -> None:
            with tempfile.TemporaryDirectory(dir=unpacked) as scratch:
                archive = Path(scratch) / "archive"
                fetch_release(release, self._arch, archive)
                unpack(archive, unpacked, files)

        unpacked = self._store.make_folder("release", _digest(f"{release.url(self._arch)} {release.sha256}"), make)
        for file in LANGUAGE_HOST_FILES if name == LANGUAGE_HOST else (name,):
            os.link(unpacked / file, folder / file)

    def _stand_in(self, reason: str) -> Part:
        version = self._pins[COMMAND_PLUGIN].version
        why = f"the stand-in of this project, not the genuine plugin ({reason})"
        label = Label(COMMAND_PLUGIN, version, _STAND_IN, _STAND_IN, _command_plugin_main(version), why)
        pulumi_version = self._pins[PULUMI].version
        if not self._stand_in_python().exists():
            with suppress(FileNotFoundError):
                shutil.rmtree(python_folder(self._store, pulumi_version))
        return self._store.make_part(
            label,
            self._origin_digest(COMMAND_PLUGIN, _STAND_IN),
            lambda tree: place_stand_in(tree, self._store, pulumi_version, version),
        )

    def _stand_in_python(self) -> Path:
        return python_folder(self._store, self._pins[PULUMI].version) / "bin" / "python"

    def _compiled(self, name: str, reason: str) -> Part:
        build = _build(self._pins[name].go, name)
        go = find_go(build.go_needed(), self._pins.go_compiler, self._store, self._say)
        main = self._outscale_main(build.version) if name == OUTSCALE_PLUGIN else f"bin/{name}"
        self._say(f"{name} {build.version}: compiling, minutes the first time ({reason})")

        def make(tree: Path) -> None:
            program = tree / "bin" / name
            program.parent.mkdir()
            compile_tool(build, go, program)
            if name == OUTSCALE_PLUGIN:
                _install_plugin_file(self._parts[PACKER], program, tree / "packer-plugins")
                program.unlink()
            elif name == LANGUAGE_HOST:
                sdk = module_folder(_build(self._pins[PULUMI].go, PULUMI), go, _SDK_MODULE)
                shim = tree / "bin" / f"{name}-exec"
                shutil.copyfile(sdk / "python" / "cmd" / shim.name, shim)
                shim.chmod(0o755)

        flavour = "hashicorp" if name == OUTSCALE_PLUGIN else _FLAVOUR[name]
        label = Label(name, build.version, "go", flavour, main, f"compiled with Go ({reason})")
        return self._store.make_part(label, self._origin_digest(name, "go"), make)

    def _outscale_main(self, version: str) -> str:
        name = f"packer-plugin-outscale_v{version}_x5.0_linux_{self._arch}"
        return f"packer-plugins/github.com/outscale/outscale/{name}"


# Whose program it is; the OUTSCALE plugin has had two homes, and they differ in what they can do.
_FLAVOUR = {
    PULUMI: "pulumi",
    LANGUAGE_HOST: "pulumi",
    COMMAND_PLUGIN: "pulumi",
    PACKER: "hashicorp",
    OUTSCALE_PLUGIN: "outscale",
}


def _command_plugin_main(version: str) -> str:
    return f"pulumi-home/plugins/resource-command-v{version}/pulumi-resource-command"


def _install_plugin_file(packer: Part, program: Path, folder: Path) -> None:
    """Let Packer place the plugin: it knows the name and the checksum file it will look for."""
    env = dict(os.environ, PACKER_PLUGIN_PATH=str(folder), CHECKPOINT_DISABLE="1")
    arguments = ["plugins", "install", "--path", str(program), "github.com/outscale/outscale"]
    run([packer.path, *arguments], env=env, limit=_PLUGIN_LIMIT_SECONDS)


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def _build(build: GoBuild | None, name: str) -> GoBuild:
    if build is None:
        raise ToolchainError(f"toolchain/pins.toml has no [{name}.go], so {name} can't be compiled")
    return build


def _release(release: Release | None, name: str) -> Release:
    if release is None:
        raise ToolchainError(f"toolchain/pins.toml has no release for {name}")
    return release
