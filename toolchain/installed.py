"""Tools that somebody has already installed, in a version that serves."""

import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from toolchain.errors import ToolchainError
from toolchain.processes import run
from toolchain.tools import Tool, architecture

VERSION_LIMIT_SECONDS = 30.0
STAND_IN_MARK = "STAND-IN"
_VERSION = re.compile(r"v?(\d+)\.(\d+)\.(\d+)(?![-+.\w]*-)")


@dataclass(frozen=True)
class Found:
    """An installed tool: its version and its files, the program first."""

    version: str
    files: tuple[Path, ...]

    def signature(self) -> str:
        """Changes when one of the files is replaced."""
        stats = [(str(path), path.stat()) for path in self.files]
        return repr([(name, stat.st_size, stat.st_mtime_ns, stat.st_ino) for name, stat in stats])


def find_installed(tool: Tool, not_in: Path) -> Found | None:
    """The first program on PATH, or the newest plugin, that serves and doesn't lie in the folder `not_in`."""
    if tool.asked:
        return next(_programs(tool, not_in), None)
    return max(_plugins(tool, not_in), key=lambda found: _numbers(found.version), default=None)


def serves(tool: Tool, version: str) -> bool:
    """Whether this version may stand for the pinned one."""
    numbers, least = _numbers(version), _numbers(tool.minimum)
    return numbers == least if tool.exact else numbers >= least and numbers[0] == least[0]


def _programs(tool: Tool, not_in: Path) -> Iterator[Found]:
    for name in os.get_exec_path():
        program = Path(name) / tool.asked
        if not name or not program.is_file() or not os.access(program, os.X_OK) or _inside(program, not_in):
            continue
        folder = program.resolve().parent
        version = _version_of(program)
        if version and serves(tool, version) and all(os.access(folder / file, os.X_OK) for file in tool.beside):
            yield Found(version, tuple(folder / file for file in tool.files))


def _plugins(tool: Tool, not_in: Path) -> Iterator[Found]:
    within = tool.folder.rsplit("/", 1)[1] if "{version}" in tool.folder else ""
    pattern = f"{within}/{tool.files[0]}".lstrip("/").format(version="*", arch=architecture())
    for place in tool.installed_in:
        folder = Path(os.path.expandvars(place)).expanduser()
        for program in folder.glob(pattern) if folder.is_absolute() else ():
            version = _VERSION.search(str(program.relative_to(folder)))
            if not version or not os.access(program, os.X_OK) or _inside(program, not_in):
                continue
            text = ".".join(version.groups())
            if serves(tool, text) and not (program.parent / STAND_IN_MARK).exists():
                yield Found(text, (program,))


def _version_of(program: Path) -> str | None:
    try:
        answer = run(
            [program, "version"],
            limit=VERSION_LIMIT_SECONDS,
            PULUMI_SKIP_UPDATE_CHECK="true",
            CHECKPOINT_DISABLE="1",
        )
    except ToolchainError:
        return None
    found = _VERSION.search(answer)
    return ".".join(found.groups()) if found else None


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(map(int, version.split(".")))


def _inside(path: Path, folder: Path) -> bool:
    return path.resolve().is_relative_to(folder.resolve())
