"""Finds Packer and its OUTSCALE plugin."""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from omi.support.environment import without_keys
from omi.support.errors import ToolError

_PLUGIN = re.compile(r"packer-plugin-outscale_v(\d+)\.(\d+)\.(\d+)[^/]*$")
_CURE = "run `make tools` and `. toolchain/env.sh`"


@dataclass(frozen=True)
class PackerTools:
    """Packer's program, the folder its plugins are in, and the OUTSCALE plugin's version."""

    packer: str
    plugin_folder: str
    plugin_version: tuple[int, int, int]

    @property
    def is_old(self) -> bool:
        """Whether the plugin is older than 1.6.

        An old plugin puts `https://api.REGION.` before the endpoint, stops at another account's OMI of the wanted name,
        and refuses boot modes: its OMIs are legacy only.
        """
        return self.plugin_version < (1, 6, 0)

    @property
    def version(self) -> str:
        """The plugin's version as people write it."""
        return ".".join(map(str, self.plugin_version))

    def endpoint(self, api: str, region: str) -> str:
        """`api` (a whole URL) in the form this plugin wants; raises ToolError if it can't take it."""
        if not self.is_old:
            return api
        if not api.startswith("https://"):
            raise ToolError(
                f"cloud.api: {api}: the installed OUTSCALE plugin {self.version} speaks https only; "
                "give an https address or install plugin 1.6 or newer"
            )
        own = f"https://api.{region}."
        # the plugin's prefix becomes the URL's user part, which is never sent as a header
        return api.removeprefix(own) if api.startswith(own) else f"alpine-omi@{api.removeprefix('https://')}"


def find_tools(environ: Mapping[str, str]) -> PackerTools:
    """Find Packer on PATH and the newest OUTSCALE plugin that it has; ToolError if one is missing."""
    packer = shutil.which("packer", path=environ.get("PATH"))
    if packer is None:
        raise ToolError(f"packer: not found on PATH; {_CURE}")
    plugins = _installed_plugins(packer, environ)
    if not plugins:
        raise ToolError(f"packer: the OUTSCALE plugin is not installed; {_CURE}")
    newest = max(plugins)
    folder = environ.get("PACKER_PLUGIN_PATH") or str(plugins[newest].parents[3])  # FOLDER/github.com/MAKER/NAME/FILE
    return PackerTools(packer, folder, newest)


def _installed_plugins(packer: str, environ: Mapping[str, str]) -> dict[tuple[int, int, int], Path]:
    """The OUTSCALE plugins, by version."""
    try:
        done = subprocess.run(
            [packer, "plugins", "installed"],
            env={**without_keys(environ, "PACKER_CONFIG_DIR", "PACKER_PLUGIN_PATH"), "CHECKPOINT_DISABLE": "1"},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise ToolError(f"{packer}: cannot list its plugins ({error}); {_CURE}") from error
    found = (_PLUGIN.search(line.strip()) for line in done.stdout.splitlines())
    return {(int(each[1]), int(each[2]), int(each[3])): Path(each.string) for each in found if each}
