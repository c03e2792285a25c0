from __future__ import annotations

from pathlib import Path

import pytest

from omi.build.packer.tools import PackerTools, find_tools
from omi.support.errors import ToolError

OLD = PackerTools("packer", "plugins", (1, 0, 2))
NEW = PackerTools("packer", "plugins", (1, 6, 1))


@pytest.mark.parametrize(
    ("tools", "api", "endpoint"),
    [
        (OLD, "https://api.eu-west-2.outscale.com/api/v1", "outscale.com/api/v1"),
        (OLD, "https://127.0.0.1:7440/api/v1", "alpine-omi@127.0.0.1:7440/api/v1"),
        (OLD, "https://api.us-east-2.outscale.com/api/v1", "alpine-omi@api.us-east-2.outscale.com/api/v1"),
        (NEW, "https://api.eu-west-2.outscale.com/api/v1", "https://api.eu-west-2.outscale.com/api/v1"),
        (NEW, "http://127.0.0.1:7441/api/v1", "http://127.0.0.1:7441/api/v1"),
    ],
)
def test_endpoint_in_the_plugins_own_form(tools: PackerTools, api: str, endpoint: str) -> None:
    assert tools.endpoint(api, "eu-west-2") == endpoint


def test_an_old_plugin_cannot_speak_plain_http() -> None:
    with pytest.raises(ToolError, match=r"1\.0\.2 speaks https only"):
        OLD.endpoint("http://127.0.0.1:7441/api/v1", "eu-west-2")


def fake_packer(folder: Path, body: str) -> str:
    program = folder / "packer"
    program.write_text(f"#!/bin/sh\n{body}\n")
    program.chmod(0o755)
    return str(folder)


def plugin_path(folder: Path, version: str) -> str:
    return f"{folder}/plugins/github.com/outscale/outscale/packer-plugin-outscale_v{version}_x5.0_linux_amd64"


def test_of_the_plugins_that_packer_has_the_newest_counts(tmp_path: Path) -> None:
    listed = "\n".join(f"echo {plugin_path(tmp_path, version)}" for version in ("1.0.2", "1.10.0", "1.6.1"))
    tools = find_tools({"PATH": fake_packer(tmp_path, listed)})
    assert (tools.plugin_version, tools.plugin_folder) == ((1, 10, 0), f"{tmp_path}/plugins")
    assert not tools.is_old


def test_what_is_missing_is_named_with_the_cure(tmp_path: Path) -> None:
    with pytest.raises(ToolError, match=r"packer: not found on PATH; run `make tools`"):
        find_tools({"PATH": str(tmp_path)})
    with pytest.raises(ToolError, match="OUTSCALE plugin is not installed"):
        find_tools({"PATH": fake_packer(tmp_path, "exit 0")})
