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
from toolchain.place import Store
from toolchain.tools import COMMAND_PLUGIN, PULUMI, TOOLCHAIN

SOURCE = TOOLCHAIN / "command_provider"
_REQUIREMENT = f"pulumi=={PULUMI.version}"
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


def stand_in_digest() -> str:
    """Changes with the stand-in's code, its Pulumi SDK or its interpreter."""
    summary = hashlib.sha256(repr((wheel_digest(_REQUIREMENT), _LAUNCHER, _START)).encode())
    for path in sorted(SOURCE.glob("*.py")):
        summary.update(path.name.encode() + b"\0" + path.read_bytes())
    return summary.hexdigest()


def stand_in_python(store: Store) -> Path:
    """Place of the Python that it runs by, made or not."""
    return store.part_folder("stand-in-python", wheel_digest(_REQUIREMENT)) / "bin" / "python"


def place_stand_in(tree: Path, store: Store) -> None:
    """Fill a part's tree with the stand-in, its Python environment made first where it isn't there yet."""
    store.make_folder(
        "stand-in-python", wheel_digest(_REQUIREMENT), "bin/python", lambda folder: make_venv(folder, _REQUIREMENT)
    )
    launcher = tree / COMMAND_PLUGIN.place(COMMAND_PLUGIN.files[0], COMMAND_PLUGIN.version)
    library = launcher.parent / "lib"
    shutil.copytree(SOURCE, library / "command_provider", ignore=shutil.ignore_patterns("__pycache__"))
    (library / "__main__.py").write_text(_START)
    compileall.compile_dir(library, quiet=1)
    (launcher.parent / STAND_IN_MARK).write_text(_MARK)
    launcher.write_text(_LAUNCHER.format(python=shlex.quote(str(stand_in_python(store)))))
    launcher.chmod(0o755)
