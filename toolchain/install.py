"""Put the pinned tools in place: `python -m toolchain.install [--link PATH]`, from the project's top.

Each tool comes from the first of these that has it: what somebody installed, if it is new enough; the maker's release;
a build with Go from the module proxy; for the `command` plugin, the stand-in. What an earlier run made is taken from
the cache. `ALPINE_OMI_TOOLS_FROM=installed|maker|go` allows only that source; with `maker` it also replaces what was
compiled, or stood in, while the makers could not be reached.
"""

import argparse
import os
import sys
from pathlib import Path

from toolchain.errors import ToolchainError
from toolchain.place import Store, cache_folder
from toolchain.sources import NAMES, Setup


def main(arguments: list[str] | None = None) -> int:
    """Exit status: 0 all tools are in place, 1 they are not (one line says why), 2 wrong usage."""
    parser = argparse.ArgumentParser(prog="python -m toolchain.install", description="Put the pinned tools in place.")
    parser.add_argument("--link", type=Path, help="make PATH a symbolic link to the folder that holds them")
    options = parser.parse_args(arguments)
    only = os.environ.get("ALPINE_OMI_TOOLS_FROM") or None
    if only not in (None, *NAMES):
        parser.error(f"ALPINE_OMI_TOOLS_FROM is {only!r}: allowed are {', '.join(NAMES)}")
    try:
        place = Setup(Store(cache_folder()), _say, only).settle()
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
        raise ToolchainError(f"{link} is in the way: remove it and run `make tools` again")
    link.parent.mkdir(parents=True, exist_ok=True)
    new = link.with_name(f".{link.name}-{os.getpid()}")
    new.symlink_to(place)
    new.replace(link)


if __name__ == "__main__":
    sys.exit(main())
