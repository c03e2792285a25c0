"""Versions are written down in more than one place; these must agree."""

import re
from pathlib import Path

import pytest

from toolchain.errors import PinError
from toolchain.pins import (
    COMMAND_PLUGIN,
    LANGUAGE_HOST,
    OUTSCALE_PLUGIN,
    PACKER,
    PINS_FILE,
    PULUMI,
    TOOLS,
    GoBuild,
    load_pins,
)

TOP = PINS_FILE.parent.parent
PINS = load_pins()


def python_pin(package: str) -> str:
    """The exact version in requirements.txt."""
    found = re.search(rf"^{package}==(\S+)$", (TOP / "requirements.txt").read_text(), re.MULTILINE)
    assert found, f"{package} is not pinned exactly in requirements.txt"
    return found.group(1)


def go_build(tool: str) -> GoBuild:
    build = PINS[tool].go
    assert build
    return build


@pytest.mark.parametrize(("tool", "package"), [(PULUMI, "pulumi"), (COMMAND_PLUGIN, "pulumi-command")])
def test_tool_and_python_package_are_of_one_version(tool: str, package: str) -> None:
    assert PINS[tool].version == python_pin(package)


def test_language_host_comes_with_its_pulumi() -> None:
    assert PINS[LANGUAGE_HOST].version == PINS[PULUMI].version


@pytest.mark.parametrize("tool", [PULUMI, LANGUAGE_HOST, PACKER, OUTSCALE_PLUGIN])
def test_go_mod_asks_for_the_pinned_version(tool: str) -> None:
    build = go_build(tool)
    go_mod = (build.folder / "go.mod").read_text()
    module = re.search(r"^require (\S+) v(\S+)$", go_mod, re.MULTILINE)
    assert module, f"{build.folder}/go.mod has no single requirement"
    assert build.package.startswith(module.group(1))
    assert module.group(2) == build.version
    assert f"{module.group(1)} v{build.version} h1:" in (build.folder / "go.sum").read_text()


def test_the_shims_sdk_is_of_pulumis_version() -> None:
    go_mod = (go_build(PULUMI).folder / "go.mod").read_text()
    assert f"github.com/pulumi/pulumi/sdk/v3 v{PINS[PULUMI].version}" in go_mod


@pytest.mark.parametrize("tool", [PULUMI, LANGUAGE_HOST, OUTSCALE_PLUGIN])
def test_programs_say_the_version_they_are_built_from(tool: str) -> None:
    build = go_build(tool)
    assert build.version in {value.removeprefix("v") for value in build.stamp.values()}


def test_the_go_wheel_is_new_enough_for_every_go_mod() -> None:
    wheel = tuple(int(part) for part in PINS.go_compiler.split("."))
    assert all(wheel >= tool.go.go_needed() for tool in PINS.tools.values() if tool.go)


@pytest.mark.parametrize("arch", ["amd64", "arm64"])
@pytest.mark.parametrize("tool", TOOLS)
def test_every_release_has_a_checksum_and_tls(tool: str, arch: str) -> None:
    release = PINS[tool].release
    if tool == LANGUAGE_HOST:
        assert release is None
        return
    assert release
    assert release.url(arch).startswith("https://")
    assert re.fullmatch(r"[0-9a-f]{64}", release.sha256.get(arch, "")) or (release.checksums_url() or "").startswith(
        "https://"
    )


def test_a_missing_pin_is_named(tmp_path: Path) -> None:
    path = tmp_path / "pins.toml"
    path.write_text("[pulumi]\n")
    with pytest.raises(PinError, match=r"pins\.toml: 'version' is missing"):
        load_pins(path)
    path.write_text("[pulumi\n")
    with pytest.raises(PinError, match=r"pins\.toml: "):
        load_pins(path)
