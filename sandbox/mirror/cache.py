"""The mirror in the cache: made once per pin and recipe, found ever after."""

from __future__ import annotations

import hashlib
import shutil
import tempfile
from pathlib import Path

from sandbox.locks import StillHeldError, hold
from sandbox.mirror.base import PIN
from sandbox.mirror.catalogue import DEFAULT_CATALOGUE, Catalogue
from sandbox.mirror.errors import MirrorError
from sandbox.mirror.make import Pool, Progress, make_pool, make_tree
from sandbox.mirror.signing import SigningKey, load_or_make_key

LOCK_SECONDS = 300.0
_RECIPE = ("apk", "base", "catalogue", "debian", "installed", "make", "package", "standins", "tinycloud")


def silent(_line: str) -> None:
    """Ignore lines of progress."""


def ensure(cache: Path, progress: Progress = silent) -> Path:
    """Make or find the fixture mirror with its default branches; returns its folder (see `make` for what it holds).

    Takes about 10 s the first time (package index and Debian sources must be reachable then), later milliseconds.
    MirrorError where it can't be made.
    """
    home, name = cache / "mirror", recipe_key()
    place = home / name
    if place.is_dir():
        return place
    home.mkdir(parents=True, exist_ok=True)
    try:
        with hold(home / ".lock", "the fixture mirror", LOCK_SECONDS, progress):
            if not place.is_dir():
                _make(place, home, progress)
    except StillHeldError as error:
        raise MirrorError(str(error)) from error
    return place


def make_mirror(cache: Path, out: Path, catalogue: Catalogue, base_url: str = "") -> Path:
    """Lay out another mirror with other branches and releases at `out` (absent yet) from the cached packages.

    `out` must lie on the cache's file system, because the packages are hard links. Returns `out`.
    """
    pool = Pool(ensure(cache) / "pool", signing_key(cache))
    make_tree(out, catalogue, pool, base_url)
    return out


def signing_key(cache: Path) -> SigningKey:
    """The key that signs what this cache's mirrors offer."""
    return load_or_make_key(cache / "mirror" / "signing")


def recipe_key() -> str:
    """The name of the mirror in the cache: a digest of the pin and of the code and files that make it."""
    digest = hashlib.sha256(PIN.read_bytes())
    here = Path(__file__).parent
    sources = [here / f"{name}.py" for name in _RECIPE] + sorted(
        path for path in (here / "files").rglob("*") if path.is_file()
    )
    for source in sources:
        digest.update(source.name.encode() + b"\0" + source.read_bytes())
    return digest.hexdigest()[:16]


def _make(place: Path, home: Path, progress: Progress) -> None:
    key = load_or_make_key(home / "signing")
    with tempfile.TemporaryDirectory(prefix=".making-", dir=home) as folder:
        scratch = Path(folder) / "scratch"
        scratch.mkdir()
        made = Path(folder) / "mirror"
        made.mkdir()
        pool = make_pool(made / "pool", home / "downloads", scratch, key, progress)
        progress(f"laying out {len(DEFAULT_CATALOGUE.branches)} branches")
        make_tree(made, DEFAULT_CATALOGUE, pool)
        shutil.rmtree(scratch)
        made.rename(place)
    progress("the fixture mirror is ready")
