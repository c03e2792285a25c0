"""Tools that somebody has already installed, in a version that serves."""

import os
import re
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from toolchain.errors import ToolchainError
from toolchain.processes import run
from toolchain.tools import Tool

STAND_IN_MARK = "command_provider"
"""The folder beside the command plugin's stand-in that holds its code."""
_VERSION = re.compile(r"v?(\d+\.\d+\.\d+)(?![-+.\w]*-)")


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
    candidates = _programs(tool) if tool.program else _plugins(tool)
    serving = (
        found
        for found in candidates
        if _serves(tool, found.version)
        and all(os.access(file, os.X_OK) for file in found.files)
        and not found.files[0].resolve().is_relative_to(not_in.resolve())
    )
    return (
        next(serving, None) if tool.program else max(serving, key=lambda found: _numbers(found.version), default=None)
    )


def _programs(tool: Tool) -> Iterator[Found]:
    for folder in filter(None, os.get_exec_path()):
        program = Path(folder) / tool.program
        if program.is_file() and os.access(program, os.X_OK) and (version := _version_of(program)):
            yield Found(version, tuple(program.resolve().with_name(file) for file in tool.files))


def _plugins(tool: Tool) -> Iterator[Found]:
    for place in tool.installed_in:
        folder = Path(os.path.expandvars(place))
        with suppress(RuntimeError):  # of a user who has no home folder
            folder = folder.expanduser()
        pattern = tool.filled(f"{tool.folder.rpartition('/')[2]}/{tool.files[0]}", "*").removeprefix(f"{folder.name}/")
        for program in folder.glob(pattern) if folder.is_absolute() else ():
            version = _VERSION.search(str(program.relative_to(folder)))
            if version and not (program.parent / STAND_IN_MARK).exists():
                yield Found(version.group(1), (program,))


def _serves(tool: Tool, version: str) -> bool:
    numbers, least = _numbers(version), _numbers(tool.minimum)
    return numbers == least if tool.exact else numbers >= least and numbers[0] == least[0]


def _version_of(program: Path) -> str | None:
    try:
        answer = run([program, "version"], limit=30, PULUMI_SKIP_UPDATE_CHECK="true", CHECKPOINT_DISABLE="1")
    except ToolchainError:
        return None
    found = _VERSION.search(answer)
    return found.group(1) if found else None


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(map(int, version.split(".")))
