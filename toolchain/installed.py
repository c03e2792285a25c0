"""Looking for tools that somebody has already installed, in exactly the pinned version."""

import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from toolchain.errors import ToolchainError
from toolchain.gobuild import architecture
from toolchain.processes import run

VERSION_LIMIT_SECONDS = 30.0
STAND_IN_MARK = "STAND-IN"
_VERSION = re.compile(r"v?(\d+\.\d+\.\d+[-+.\w]*)")


@dataclass(frozen=True)
class Found:
    """Files somebody installed: where each is, and its place in the toolchain's layout."""

    files: tuple[tuple[Path, str], ...]

    @property
    def program(self) -> Path:
        """The tool itself."""
        return self.files[0][0]

    def signature(self) -> str:
        """Changes when one of the files is replaced."""
        stats = [(str(path), path.stat()) for path, _ in self.files]
        return repr([(name, stat.st_size, stat.st_mtime_ns, stat.st_ino) for name, stat in stats])


def find_on_path(program: str, version: str, not_in: Path) -> Found | None:
    """A program on PATH, outside the folder `not_in`, whose `version` command says exactly `version`."""
    for path in _on_path(program, not_in):
        if _says_version(path, version):
            return Found(files=((path, f"bin/{program}"),))
    return None


def find_language_host(pulumi: Path, names: tuple[str, ...]) -> Found | None:
    """The Python language host beside an installed Pulumi CLI, None unless all its files are there."""
    folder = pulumi.resolve().parent
    if all(os.access(folder / name, os.X_OK) for name in names):
        return Found(files=tuple((folder / name, f"bin/{name}") for name in names))
    return None


def find_command_plugin(version: str, not_in: Path) -> Found | None:
    """The genuine `command` plugin in the user's PULUMI_HOME, None where there is none (or only the stand-in)."""
    home = Path(os.environ.get("PULUMI_HOME") or "~/.pulumi").expanduser()
    for place in (home, Path("~/.pulumi").expanduser()):
        folder = place / "plugins" / f"resource-command-v{version}"
        program = folder / "pulumi-resource-command"
        if not os.access(program, os.X_OK) or (folder / STAND_IN_MARK).exists() or _inside(folder, not_in):
            continue
        return Found(files=((program, f"pulumi-home/plugins/{folder.name}/{program.name}"),))
    return None


def find_packer_plugin(version: str, not_in: Path) -> Found | None:
    """The maker's OUTSCALE plugin in the user's Packer plugin folder, with its checksum file."""
    own = os.environ.get("PACKER_PLUGIN_PATH")
    relative = Path("github.com/outscale/outscale") / f"packer-plugin-outscale_v{version}_x5.0_linux_{architecture()}"
    for place in filter(None, (own, "~/.config/packer/plugins", "~/.packer.d/plugins")):
        program = Path(place).expanduser() / relative
        checksum = program.with_name(f"{program.name}_SHA256SUM")
        if os.access(program, os.X_OK) and checksum.is_file() and not _inside(program, not_in):
            return Found(
                files=tuple((path, f"packer-plugins/{relative.parent}/{path.name}") for path in (program, checksum))
            )
    return None


def _on_path(program: str, not_in: Path) -> Iterator[Path]:
    for folder in os.get_exec_path():
        path = Path(folder) / program
        if folder and os.access(path, os.X_OK) and path.is_file() and not _inside(path, not_in):
            yield path


def _inside(path: Path, folder: Path) -> bool:
    return path.resolve().is_relative_to(folder.resolve())


def _says_version(program: Path, version: str) -> bool:
    env = dict(os.environ, PULUMI_SKIP_UPDATE_CHECK="true", CHECKPOINT_DISABLE="1")
    try:
        found = _VERSION.search(run([program, "version"], env=env, limit=VERSION_LIMIT_SECONDS))
    except ToolchainError:
        return False
    return bool(found) and found is not None and found.group(1) == version
