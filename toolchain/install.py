"""Put the pinned tools in place: `python3 -m toolchain.install [--link PATH]`, from the project's top.

Each tool comes from the first of these that has it in the pinned version: what somebody installed, the cache, the
maker's release, a build with Go from the module proxy (for the `command` plugin: the stand-in). A second run finds all
in the cache and does nothing. `ALPINE_OMI_TOOLS_FROM=installed|maker|go` allows only that way; with `maker` it also
replaces what was compiled, or stood in, while the makers could not be reached.
"""

import sys

if sys.version_info < (3, 11):  # noqa: UP036 (run by the host's Python, before there is a venv of the right one)
    sys.exit(f"Python 3.11 or newer is needed, this is {sys.version.split()[0]}: run `make setup PYTHON=python3.11`")

import argparse
import os
from pathlib import Path

from toolchain.choose import WAYS, Chooser
from toolchain.errors import ToolchainError
from toolchain.makers import Reach
from toolchain.pins import load_pins
from toolchain.place import Store, cache_folder


def main(arguments: list[str] | None = None) -> int:
    """Exit status: 0 all tools are in place, 1 they are not (one line says why), 2 wrong usage."""
    parser = argparse.ArgumentParser(prog="python3 -m toolchain.install", description="Put the pinned tools in place.")
    parser.add_argument("--link", type=Path, help="make PATH a symbolic link to the folder that holds them")
    options = parser.parse_args(arguments)
    way = os.environ.get("ALPINE_OMI_TOOLS_FROM") or None
    if way not in (None, *WAYS):
        parser.error(f"ALPINE_OMI_TOOLS_FROM is {way!r}: allowed are {', '.join(WAYS)}")
    try:
        pins = load_pins()
        chooser = Chooser(pins, Store(cache_folder()), Reach.of(pins), way, _say)
        place = chooser.settle()
        if options.link:
            _link(options.link, place)
    except ToolchainError as error:
        print(f"toolchain: error: {error}", file=sys.stderr)
        return 1
    except OSError as error:
        print(f"toolchain: error: {error.filename or cache_folder()}: {error.strerror or error}", file=sys.stderr)
        return 1
    return 0


def _say(line: str) -> None:
    print(f"toolchain: {line}", flush=True)


def _link(link: Path, place: Path) -> None:
    if link.is_symlink() and link.readlink() == place:
        return
    if link.exists() and not link.is_symlink():
        raise ToolchainError(f"{link} is in the way: remove it and run `make setup` again")
    link.parent.mkdir(parents=True, exist_ok=True)
    new = link.with_name(f".{link.name}-{os.getpid()}")
    new.symlink_to(place)
    new.replace(link)


if __name__ == "__main__":
    sys.exit(main())
