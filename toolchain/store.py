"""The tools' place outside the checkout, where each is put whole, once, or not at all.

    <cache>/toolchain/made/<name>-<origin>-<digest>/   one tool, in the layout of the whole
    <cache>/toolchain/<key>/                           one choice of these, hard-linked together, with tools.json

Each is made in a folder beside its place and renamed, so what is there is complete.
"""

import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

from toolchain.errors import ToolchainError

LOCK_LIMIT_SECONDS = 45 * 60.0
_NEW = ".new-"


def cache_folder() -> Path:
    """`$ALPINE_OMI_CACHE`, else `$XDG_CACHE_HOME/alpine-omi`, else `~/.cache/alpine-omi`."""
    own = os.environ.get("ALPINE_OMI_CACHE")
    written = own or f"{os.environ.get('XDG_CACHE_HOME') or '~/.cache'}/alpine-omi"
    try:
        return Path(written).expanduser().absolute()
    except RuntimeError:
        raise ToolchainError(f"{written}: this user has no home folder: set HOME or ALPINE_OMI_CACHE") from None


class Store:
    """The toolchain's folder in the cache. Call `make` under `lock()`."""

    def __init__(self, cache: Path) -> None:
        self.folder = cache / "toolchain"
        self.made = self.folder / "made"

    def make(self, place: Path, fill: Callable[[Path], None]) -> Path:
        """Put a folder that `fill(folder)` fills at `place`, instead of what may be there."""
        place.parent.mkdir(parents=True, exist_ok=True)
        new = Path(tempfile.mkdtemp(prefix=_NEW, dir=place.parent))
        try:
            new.chmod(0o755)
            fill(new)
            shutil.rmtree(place, ignore_errors=True)
            return new.rename(place)
        finally:
            shutil.rmtree(new, ignore_errors=True)

    @contextmanager
    def lock(self, say: Callable[[str], None], limit: float = LOCK_LIMIT_SECONDS) -> Iterator[None]:
        """Hold the store for one process; what an interrupted one left half-made is removed. Waits `limit` seconds."""
        self.made.mkdir(parents=True, exist_ok=True)
        lock = FileLock(self.folder / "lock")
        try:
            held = lock.acquire(timeout=0)
        except Timeout:
            say(f"waiting for another set-up that holds {lock.lock_file}")
            try:
                held = lock.acquire(timeout=limit)
            except Timeout:
                raise ToolchainError(
                    f"{lock.lock_file} is held by another set-up for {limit / 60:.0f} minutes: end that one"
                ) from None
        with held:
            for leftover in (*self.folder.glob(f"{_NEW}*"), *self.made.glob(f"{_NEW}*")):
                shutil.rmtree(leftover, ignore_errors=True)
            yield
