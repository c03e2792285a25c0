"""Versions are written down in more than one place; these must agree."""

import re

import pytest

from toolchain.gobuild import go_folder
from toolchain.tools import COMMAND_PLUGIN, GO_COMPILER, PULUMI, TOOLCHAIN, TOOLS, GoModule, Tool

COMPILED = [module for tool in TOOLS for module in tool.go]


def python_pin(package: str) -> str:
    """The exact version in requirements.txt."""
    found = re.search(rf"^{package}==(\S+)$", (TOOLCHAIN.parent / "requirements.txt").read_text(), re.MULTILINE)
    assert found, f"{package} is not pinned exactly in requirements.txt"
    return found.group(1)


@pytest.mark.parametrize(("tool", "package"), [(PULUMI, "pulumi"), (COMMAND_PLUGIN, "pulumi-command")])
def test_tool_and_python_package_are_of_one_version(tool: Tool, package: str) -> None:
    assert tool.version == tool.minimum == python_pin(package)


@pytest.mark.parametrize("module", COMPILED, ids=lambda module: module.name)
def test_go_mod_asks_for_the_pinned_version(module: GoModule) -> None:
    folder = go_folder(module)
    asked = re.search(r"^require (\S+) v(\S+)$", (folder / "go.mod").read_text(), re.MULTILINE)
    assert asked, f"{folder}/go.mod has no single requirement"
    assert module.package.startswith(asked.group(1))
    assert asked.group(2) == module.version
    assert f"{asked.group(1)} v{module.version} h1:" in (folder / "go.sum").read_text()


def test_the_shims_sdk_is_of_pulumis_version() -> None:
    assert f"github.com/pulumi/pulumi/sdk/v3 v{PULUMI.version}" in (go_folder(PULUMI.go[0]) / "go.mod").read_text()


@pytest.mark.parametrize("module", COMPILED, ids=lambda module: module.name)
def test_the_go_compiler_is_new_enough(module: GoModule) -> None:
    needed = re.search(r"^go (\d+)\.(\d+)\.(\d+)$", (go_folder(module) / "go.mod").read_text(), re.MULTILINE)
    assert needed
    assert tuple(map(int, needed.groups())) <= tuple(map(int, GO_COMPILER.split(".")))


@pytest.mark.parametrize("arch", ["amd64", "arm64"])
@pytest.mark.parametrize("tool", TOOLS, ids=lambda tool: tool.name)
def test_every_release_has_a_checksum_and_tls(tool: Tool, arch: str) -> None:
    assert tool.url.startswith("https://")
    assert re.fullmatch(r"[0-9a-f]{64}", tool.sha256.get(arch, "")) or tool.checksums.startswith("https://")
