"""Versions are written down in more than one place; these must agree."""

import re

import pytest

from toolchain.gobuild import go_folder, go_needed
from toolchain.tools import COMMAND_PLUGIN, GO_COMPILER, LANGUAGE_HOST, PULUMI, TOOLCHAIN, TOOLS, GoModule, Tool

COMPILED = [(tool, tool.go) for tool in TOOLS if tool.go]


def python_pin(package: str) -> str:
    """The exact version in requirements.txt."""
    found = re.search(rf"^{package}==(\S+)$", (TOOLCHAIN.parent / "requirements.txt").read_text(), re.MULTILINE)
    assert found, f"{package} is not pinned exactly in requirements.txt"
    return found.group(1)


@pytest.mark.parametrize(("tool", "package"), [(PULUMI, "pulumi"), (COMMAND_PLUGIN, "pulumi-command")])
def test_tool_and_python_package_are_of_one_version(tool: Tool, package: str) -> None:
    assert tool.version == tool.minimum == python_pin(package)


@pytest.mark.parametrize(("tool", "go"), COMPILED)
def test_go_mod_asks_for_the_pinned_version(tool: Tool, go: GoModule) -> None:
    module = re.search(r"^require (\S+) v(\S+)$", (go_folder(tool) / "go.mod").read_text(), re.MULTILINE)
    assert module, f"{go_folder(tool)}/go.mod has no single requirement"
    assert go.package.startswith(module.group(1))
    assert module.group(2) == go.version
    assert f"{module.group(1)} v{go.version} h1:" in (go_folder(tool) / "go.sum").read_text()


def test_the_shims_sdk_is_of_pulumis_version() -> None:
    assert f"github.com/pulumi/pulumi/sdk/v3 v{PULUMI.version}" in (go_folder(PULUMI) / "go.mod").read_text()
    assert LANGUAGE_HOST.version == PULUMI.version


def test_the_go_wheel_is_new_enough_for_every_go_mod() -> None:
    wheel = tuple(int(part) for part in GO_COMPILER.split("."))
    assert all(wheel >= go_needed(tool) for tool, _ in COMPILED)


@pytest.mark.parametrize("arch", ["amd64", "arm64"])
@pytest.mark.parametrize("tool", TOOLS, ids=lambda tool: tool.name)
def test_every_release_has_a_checksum_and_tls(tool: Tool, arch: str) -> None:
    assert tool.url.startswith("https://")
    assert re.fullmatch(r"[0-9a-f]{64}", tool.sha256.get(arch, "")) or tool.checksums.startswith("https://")
