"""Placing the stand-in for the `command` plugin: its code and a Python environment of its own.

Both lie in the cache, so that a delete works after the checkout it was made from is gone.
"""

import compileall
import hashlib
import shlex
import shutil
from pathlib import Path

from toolchain.gobuild import make_venv, wheel_digest
from toolchain.installed import STAND_IN_MARK
from toolchain.pins import TOOLCHAIN
from toolchain.place import Store

SOURCE = TOOLCHAIN / "command_provider"
_LAUNCHER = """\
#!/bin/sh
# The stand-in for Pulumi's command plugin. -I: nothing of the caller's Python environment is taken over.
exec {python} -I "${{0%/*}}/lib" "$@"
"""
_START = """\
from command_provider.protocol import leave_out_sdk

leave_out_sdk()

from command_provider.server import main

main()
"""
_MARK = "This is alpine-omi's stand-in for Pulumi's command plugin, not the genuine one.\n"


def stand_in_digest(pulumi_version: str) -> str:
    """Changes with the stand-in's code, its Pulumi SDK or its interpreter."""
    summary = hashlib.sha256(repr((wheel_digest(_requirement(pulumi_version)), _LAUNCHER, _START)).encode())
    for path in sorted(SOURCE.glob("*.py")):
        summary.update(path.name.encode() + b"\0" + path.read_bytes())
    return summary.hexdigest()


def python_folder(store: Store, pulumi_version: str) -> Path:
    """Place of the stand-in's Python environment, made or not."""
    return store.part_folder("stand-in-python", wheel_digest(_requirement(pulumi_version)))


def place_stand_in(tree: Path, store: Store, pulumi_version: str, version: str) -> None:
    """Fill a part's tree with the stand-in, its Python environment made first where it isn't there yet."""
    requirement = _requirement(pulumi_version)
    environment = store.make_folder(
        "stand-in-python", wheel_digest(requirement), lambda folder: make_venv(folder, [requirement])
    )
    plugin = tree / "pulumi-home" / "plugins" / f"resource-command-v{version}"
    shutil.copytree(SOURCE, plugin / "lib" / "command_provider", ignore=shutil.ignore_patterns("__pycache__"))
    (plugin / "lib" / "__main__.py").write_text(_START)
    compileall.compile_dir(plugin / "lib", quiet=1)
    (plugin / STAND_IN_MARK).write_text(_MARK)
    launcher = plugin / "pulumi-resource-command"
    launcher.write_text(_LAUNCHER.format(python=shlex.quote(str(environment / "bin" / "python"))))
    launcher.chmod(0o755)


def _requirement(pulumi_version: str) -> str:
    return f"pulumi=={pulumi_version}"
