"""Put the pinned tools in place and link them as .venv/toolchain: `python -m toolchain.install`.

Each tool comes from the first of these that has it: what somebody installed, if it is new enough; the maker's release;
a build with Go from the module proxy; for the `command` plugin, the stand-in. What an earlier run made is taken from
the cache, also where it was compiled because the makers could not be reached: delete the cache to ask them again.
"""

import os
import sys
from pathlib import Path

from toolchain.errors import ToolchainError
from toolchain.sources import Setup
from toolchain.store import Store, cache_folder
from toolchain.tools import TOOLCHAIN, TOOLS


def main(link: Path = TOOLCHAIN.parent / ".venv" / "toolchain") -> int:
    """Exit status: 0 all tools are in place, 1 they are not (one line says why), 130 interrupted."""
    try:
        _link(link, Setup(Store(cache_folder()), _say, TOOLS).install())
    except ToolchainError as error:
        print(f"toolchain: error: {error}", file=sys.stderr)
        return 1
    except OSError as error:
        print(f"toolchain: error: {error.filename or cache_folder()}: {error.strerror or error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("toolchain: interrupted; the next `make tools` goes on with what is there", file=sys.stderr)
        return 130
    return 0


def _say(line: str) -> None:
    print(f"toolchain: {line}", flush=True)


def _link(link: Path, place: Path) -> None:
    if link.exists() and not link.is_symlink():
        raise ToolchainError(f"{link} is in the way: remove it and run `make tools` again")
    link.parent.mkdir(parents=True, exist_ok=True)
    new = link.with_name(f".{link.name}-{os.getpid()}")
    new.symlink_to(place)
    new.replace(link)


if __name__ == "__main__":
    sys.exit(main())
