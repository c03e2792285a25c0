"""What toolchain/pins.toml says, as types."""

import hashlib
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from toolchain.errors import PinError

TOOLCHAIN = Path(__file__).resolve().parent
PINS_FILE = TOOLCHAIN / "pins.toml"

PULUMI = "pulumi"
LANGUAGE_HOST = "pulumi-language-python"
COMMAND_PLUGIN = "pulumi-resource-command"
PACKER = "packer"
OUTSCALE_PLUGIN = "packer-plugin-outscale"
TOOLS = (PULUMI, LANGUAGE_HOST, COMMAND_PLUGIN, PACKER, OUTSCALE_PLUGIN)


@dataclass(frozen=True)
class Release:
    """A maker's release: where it is and what it must hash to.

    `sha256` maps an architecture in Go's words to a pinned digest; where it is empty the maker's own checksum file at
    `checksums` is asked.
    """

    url_pattern: str
    arch_names: Mapping[str, str]
    sha256: Mapping[str, str]
    checksums_pattern: str | None
    version: str

    def url(self, arch: str) -> str:
        """Address of the release for an architecture in Go's words (`amd64`, `arm64`)."""
        if arch not in self.arch_names:
            raise PinError(
                f"no release is pinned for {arch} at {self.url_pattern} (there are: {sorted(self.arch_names)})"
            )
        return self.url_pattern.format(version=self.version, arch=self.arch_names[arch])

    def checksums_url(self) -> str | None:
        """Address of the maker's checksum file, None where the digest itself is pinned."""
        return self.checksums_pattern and self.checksums_pattern.format(version=self.version)


@dataclass(frozen=True)
class GoBuild:
    """A program compiled from the module pinned by `toolchain/go/<folder>` (go.mod, go.sum)."""

    folder: Path
    package: str
    version: str
    stamp: Mapping[str, str]
    tags: tuple[str, ...]

    def go_needed(self) -> tuple[int, ...]:
        """Version of Go that the go.mod asks for, for example (1, 26, 3)."""
        go_mod = self.folder / "go.mod"
        for line in go_mod.read_text().splitlines():
            words = line.split()
            if len(words) == 2 and words[0] == "go":
                return tuple(int(part) for part in words[1].split("."))
        raise PinError(f"{go_mod} has no line `go X.Y.Z`")

    def digest(self) -> str:
        """Changes when anything that goes into the program does."""
        summary = hashlib.sha256(repr((self.package, self.version, sorted(self.stamp.items()), self.tags)).encode())
        for name in ("go.mod", "go.sum"):
            summary.update((self.folder / name).read_bytes())
        return summary.hexdigest()


@dataclass(frozen=True)
class Tool:
    """One tool, its exact version, and the places it may come from."""

    name: str
    version: str
    release: Release | None
    go: GoBuild | None


@dataclass(frozen=True)
class Pins:
    """All pinned tools by name, and the version of the Go compiler's wheel."""

    tools: Mapping[str, Tool]
    go_compiler: str

    def __getitem__(self, name: str) -> Tool:
        return self.tools[name]


def load_pins(path: Path = PINS_FILE) -> Pins:
    """Read the pins; PinError names the file and the key when something is missing."""
    try:
        table = tomllib.loads(path.read_text())
        tools = {name: _tool(name, table[name], path.parent / "go") for name in TOOLS}
        return Pins(tools=tools, go_compiler=table["go-compiler"]["version"])
    except tomllib.TOMLDecodeError as error:
        raise PinError(f"{path}: {error}") from error
    except KeyError as error:
        raise PinError(f"{path}: {error} is missing") from error


def _tool(name: str, table: Mapping[str, Any], go_folder: Path) -> Tool:
    release, go = table.get("release"), table.get("go")
    return Tool(
        name=name,
        version=table["version"],
        release=release
        and Release(
            url_pattern=release["url"],
            arch_names=release["arch"],
            sha256=release.get("sha256", {}),
            checksums_pattern=release.get("checksums"),
            version=table["version"],
        ),
        go=go
        and GoBuild(
            folder=go_folder / go["folder"],
            package=go["package"],
            version=go["version"],
            stamp=go["stamp"],
            tags=tuple(go["tags"]),
        ),
    )
