"""The tools' place outside the checkout, where each is put whole, once, or not at all.

    <cache>/toolchain/parts/<name>-<digest>/   one tool as it was made: tree/ in the layout of the whole, part.json
    <cache>/toolchain/<key>/                   the parts of one choice, hard-linked together, with tools.json

A part is made in a folder beside its place and renamed, so a part that is there is complete.
"""

import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

from filelock import FileLock, Timeout

from toolchain.errors import ToolchainError

LOCK_LIMIT_SECONDS = 45 * 60.0
_NEW = ".new-"


@dataclass(frozen=True)
class Label:
    """Describes a part: `main` is the program's place in the tree, `why` says where it is from and why from there."""

    name: str
    version: str
    origin: str
    main: str
    why: str


@dataclass(frozen=True)
class Part:
    """One tool in the cache."""

    label: Label
    folder: Path

    @property
    def tree(self) -> Path:
        """The files, laid out as in the assembled folder."""
        return self.folder / "tree"


def cache_folder() -> Path:
    """`$ALPINE_OMI_CACHE`, else `$XDG_CACHE_HOME/alpine-omi`, else `~/.cache/alpine-omi`."""
    if own := os.environ.get("ALPINE_OMI_CACHE"):
        return Path(own).expanduser().absolute()
    return Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache").expanduser().absolute() / "alpine-omi"


class Store:
    """The toolchain's folder in the cache. Call what makes something under `lock()`."""

    def __init__(self, cache: Path) -> None:
        self.folder = cache / "toolchain"
        self.parts = self.folder / "parts"

    def part_folder(self, name: str, digest: str) -> Path:
        """Place of a part, made or not; `digest` is hexadecimal and stands for everything that goes into it."""
        return self.parts / f"{name}-{digest[:16]}"

    def make_folder(self, name: str, digest: str, needs: str, make: Callable[[Path], None]) -> Path:
        """The folder, filled by `make(folder)` unless it is there and has something at `needs`."""
        place = self.part_folder(name, digest)
        return place if (place / needs).exists() else self._put(place, needs, make)

    def make_part(self, label: Label, digest: str, make: Callable[[Path], None]) -> Part:
        """The part, its tree filled by `make(tree)`."""

        def make_whole(new: Path) -> None:
            (new / "tree").mkdir()
            make(new / "tree")
            (new / "part.json").write_text(json.dumps(asdict(label)))

        place = self.part_folder(f"{label.name}-{label.origin}", digest)
        return Part(label, self._put(place, f"tree/{label.main}", make_whole))

    def _put(self, place: Path, needs: str, make: Callable[[Path], None]) -> Path:
        self.parts.mkdir(parents=True, exist_ok=True)
        with self.new_folder(self.parts) as new:
            make(new)
            if not (new / needs).exists():
                raise ToolchainError(f"{place.name}: what was made has no {needs} in it")
            shutil.rmtree(place, ignore_errors=True)
            return new.rename(place)

    def find_part(self, name: str, origin: str, digest: str) -> Part | None:
        """The part made before, None where there is none or its program has gone."""
        place = self.part_folder(f"{name}-{origin}", digest)
        if not (place / "part.json").is_file():
            return None
        record = json.loads((place / "part.json").read_text())
        part = Part(Label(**{key: record[key] for key in Label.__dataclass_fields__}), place)
        return part if (part.tree / part.label.main).exists() else None

    def assembled(self, parts: Sequence[Part]) -> Path:
        """Place of the folder that holds all these parts, made or not."""
        text = "\n".join(sorted(part.folder.name for part in parts))
        return self.folder / hashlib.sha256(text.encode()).hexdigest()[:16]

    def assemble(self, parts: Sequence[Part]) -> Path:
        """The folder that holds all parts together; made where it isn't there yet."""
        place = self.assembled(parts)
        if not place.is_dir():
            with self.new_folder(self.folder) as new:
                for part in parts:
                    shutil.copytree(part.tree, new, symlinks=True, dirs_exist_ok=True, copy_function=_link_file)
                (new / "tools.json").write_text(tools_json(place, parts))
                new.rename(place)
        return place

    @contextmanager
    def lock(self, say: Callable[[str], None], limit: float = LOCK_LIMIT_SECONDS) -> Iterator[None]:
        """Hold the store for one process; what an interrupted one left half-made is removed. Waits `limit` seconds."""
        self.folder.mkdir(parents=True, exist_ok=True)
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
            for leftover in (*self.folder.glob(f"{_NEW}*"), *self.parts.glob(f"{_NEW}*")):
                shutil.rmtree(leftover, ignore_errors=True)
            yield

    @contextmanager
    def new_folder(self, beside: Path) -> Iterator[Path]:
        """A folder to make something in; it is gone afterwards unless it was renamed."""
        new = Path(tempfile.mkdtemp(prefix=_NEW, dir=beside))
        new.chmod(0o755)
        try:
            yield new
        finally:
            shutil.rmtree(new, ignore_errors=True)


def tools_json(place: Path, parts: Sequence[Part]) -> str:
    """The record that programs read to know which tools they have (`$ALPINE_OMI_TOOLS` names the file)."""
    tools = {
        part.label.name: {
            "version": part.label.version,
            "origin": part.label.origin,
            "why": part.label.why,
            "path": str(place / part.label.main),
        }
        for part in parts
    }
    return json.dumps({"tools": tools}, indent=1) + "\n"


def _link_file(source: str, target: str) -> None:
    try:
        os.link(source, target, follow_symlinks=False)
    except OSError:
        shutil.copy2(source, target, follow_symlinks=False)
