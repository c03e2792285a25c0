"""Where tools lie outside the checkout, and how they come there: whole, once, or not at all.

    <cache>/toolchain/parts/<name>-<digest>/   one tool as it was made: tree/ in the layout of the whole, part.json
    <cache>/toolchain/<key>/                   the parts of one choice, hard-linked together, with tools.json

A part is made in a folder beside its place and renamed, so a part that is there is complete.
"""

import fcntl
import hashlib
import json
import os
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

from toolchain.errors import ToolchainError

LOCK_LIMIT_SECONDS = 45 * 60
_NEW = ".new-"


@dataclass(frozen=True)
class Label:
    """What a part is.

    `origin` is `installed`, `maker`, `go` or `stand-in`; `flavour` tells apart programs of one name from different
    makers; `main` is the program's place in the tree; `why` says in a few words why this origin was taken.
    """

    name: str
    version: str
    origin: str
    flavour: str
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

    @property
    def path(self) -> Path:
        """The program itself."""
        return self.tree / self.label.main


def cache_folder() -> Path:
    """`$ALPINE_OMI_CACHE`, else `$XDG_CACHE_HOME/alpine-omi`, else `~/.cache/alpine-omi`."""
    if own := os.environ.get("ALPINE_OMI_CACHE"):
        return Path(own).expanduser().absolute()
    return Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache").expanduser().absolute() / "alpine-omi"


class Store:
    """The toolchain's folder in the cache."""

    def __init__(self, cache: Path) -> None:
        self.folder = cache / "toolchain"
        self.parts = self.folder / "parts"

    def part_folder(self, name: str, digest: str) -> Path:
        """Place of a part, made or not; `digest` is hexadecimal and stands for everything that goes into it."""
        return self.parts / f"{name}-{digest[:16]}"

    def make_folder(self, name: str, digest: str, make: Callable[[Path], None]) -> Path:
        """The folder, filled by `make(folder)` where it isn't there yet. Call it under `lock()`."""
        place = self.part_folder(name, digest)
        if place.is_dir():
            return place
        self.parts.mkdir(parents=True, exist_ok=True)
        with _new_folder(self.parts) as new:
            make(new)
            new.rename(place)
        return place

    def make_part(self, label: Label, digest: str, make: Callable[[Path], None]) -> Part:
        """The part, its tree filled by `make(tree)` where it isn't there yet. Call it under `lock()`."""

        def make_whole(new: Path) -> None:
            tree = new / "tree"
            tree.mkdir()
            make(tree)
            if not (tree / label.main).exists():
                raise ToolchainError(f"{label.name} {label.version} ({label.origin}) has no {label.main} in it")
            (new / "part.json").write_text(json.dumps(asdict(label)))

        place = self.make_folder(f"{label.name}-{label.origin}", digest, make_whole)
        return _read_part(place)

    def find_part(self, name: str, origin: str, digest: str) -> Part | None:
        """The part made before, None where there is none or the program it names has gone."""
        place = self.part_folder(f"{name}-{origin}", digest)
        if not (place / "part.json").is_file():
            return None
        part = _read_part(place)
        return part if part.path.exists() else None

    def assemble(self, parts: Sequence[Part]) -> Path:
        """The folder that holds all parts together; made where it isn't there yet. Call it under `lock()`."""
        place = self.assembled(parts)
        if place.is_dir():
            return place
        with _new_folder(self.folder) as new:
            for part in parts:
                _link_tree(part.tree, new)
            (new / "pulumi-home" / "plugins").mkdir(parents=True, exist_ok=True)
            (new / "packer-plugins").mkdir(exist_ok=True)
            (new / "tools.json").write_text(tools_json(place, parts))
            new.rename(place)
        return place

    def assembled(self, parts: Sequence[Part]) -> Path:
        """Place of the assembled folder for these parts, made or not."""
        text = "\n".join(sorted(part.folder.name for part in parts))
        return self.folder / hashlib.sha256(text.encode()).hexdigest()[:16]

    @contextmanager
    def lock(self, say: Callable[[str], None], limit: float = LOCK_LIMIT_SECONDS) -> Iterator[None]:
        """Hold the store for one process; what an interrupted one left half-made is removed. Waits `limit` seconds."""
        self.folder.mkdir(parents=True, exist_ok=True)
        end, told = time.monotonic() + limit, False
        with (self.folder / "lock").open("w") as file:
            while True:
                try:
                    fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    break
                except BlockingIOError:
                    if time.monotonic() > end:
                        raise ToolchainError(
                            f"{self.folder}/lock is held by another set-up for {limit / 60:.0f} minutes: end that one"
                        ) from None
                if not told:
                    say(f"waiting for another set-up that holds {self.folder}/lock")
                    told = True
                time.sleep(0.2)
            for folder in (self.folder, self.parts):
                for leftover in folder.glob(f"{_NEW}*"):
                    shutil.rmtree(leftover, ignore_errors=True)
            yield


def tools_json(place: Path, parts: Sequence[Part]) -> str:
    """The record that programs read to know which tools they have (`$ALPINE_OMI_TOOLS` names the file)."""
    tools = {}
    for part in parts:
        record = {key: value for key, value in asdict(part.label).items() if key not in {"main", "name"}}
        tools[part.label.name] = record | {"path": str(place / part.label.main)}
    return json.dumps({"tools": tools}, indent=1) + "\n"


def _read_part(place: Path) -> Part:
    return Part(label=Label(**json.loads((place / "part.json").read_text())), folder=place)


@contextmanager
def _new_folder(beside: Path) -> Iterator[Path]:
    new = Path(tempfile.mkdtemp(prefix=_NEW, dir=beside))
    new.chmod(0o755)
    try:
        yield new
    finally:
        shutil.rmtree(new, ignore_errors=True)


def _link_tree(source: Path, target: Path) -> None:
    shutil.copytree(source, target, symlinks=True, dirs_exist_ok=True, copy_function=_link_file)


def _link_file(source: str, target: str) -> None:
    try:
        os.link(source, target, follow_symlinks=False)
    except OSError:
        shutil.copy2(source, target, follow_symlinks=False)
