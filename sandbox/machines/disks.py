"""Volumes and snapshots as qcow2 files.

Layout below the store's folder:
    snapshots/<id>.qcow2      a whole image that is never written and depends on nothing
    volumes/<id>.qcow2        a volume
    volumes/<id>.base.qcow2   hard link to the snapshot that the volume grows from; the volume's backing file
The link counts the users of a snapshot: it can be deleted at any time, and its blocks go with its last volume.
Files appear by rename or link, so an interrupted call leaves nothing but a `.new-*`, removed at the next start.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from sandbox.environment import plain
from sandbox.machines.protocol import MachineError

GIB = 1 << 30
QEMU_IMG_LIMIT_S = 600.0
_ID = re.compile(r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$")


class DiskStore:
    """The disks of one local cloud. Calls for one id must not run at the same time; others may."""

    def __init__(self, home: Path) -> None:
        self._volumes = home / "volumes"
        self._snapshots = home / "snapshots"
        with file_errors():
            for folder in (self._volumes, self._snapshots):
                folder.mkdir(parents=True, exist_ok=True)
                for left in folder.glob(".new-*"):
                    left.unlink(missing_ok=True)

    def volume(self, volume_id: str) -> Path:
        """The file of an existing volume."""
        return _existing(self._volumes / f"{_checked(volume_id)}.qcow2", f"volume {volume_id}")

    def snapshot(self, snapshot_id: str) -> Path:
        """The file of an existing snapshot."""
        return _existing(self._snapshots / f"{_checked(snapshot_id)}.qcow2", f"snapshot {snapshot_id}")

    def create_volume(self, volume_id: str, size_gib: int, snapshot_id: str | None) -> None:
        """An empty volume, or a copy-on-write child of a snapshot, grown to `size_gib`; nothing if it exists."""
        target = self._volumes / f"{_checked(volume_id)}.qcow2"
        if target.exists():
            return
        size = size_gib * GIB
        with file_errors(), _new_file(target) as new:
            if snapshot_id is None:
                _qemu_img("create", "-q", "-f", "qcow2", str(new), str(size))
                return
            source = self.snapshot(snapshot_id)
            least = _virtual_size(source)
            if least > size:
                needed = f"snapshot {snapshot_id} needs {-(-least // GIB)} GiB"
                raise MachineError(f"volume {volume_id}: {size_gib} GiB is too small, {needed}")
            base = self._base(volume_id)
            base.unlink(missing_ok=True)
            os.link(source, base)
            # The backing file is named relative to the volume, so that the store can be moved as a whole.
            backing = ("-F", "qcow2", "-b", base.name)
            _qemu_img("create", "-q", "-u", "-f", "qcow2", *backing, str(new), str(size))

    def delete_volume(self, volume_id: str) -> None:
        """Remove a volume, and its snapshot's blocks if it was their last user; nothing if it does not exist."""
        with file_errors():
            (self._volumes / f"{_checked(volume_id)}.qcow2").unlink(missing_ok=True)
            self._base(volume_id).unlink(missing_ok=True)

    def create_snapshot(self, snapshot_id: str, volume_id: str) -> None:
        """Copy what a volume holds, without its holes; depends on nothing afterwards; nothing if it exists.

        Must see a volume that nobody writes to: QEMU's lock is not taken (see QemuMachines.create_snapshot).
        """
        target = self._snapshots / f"{_checked(snapshot_id)}.qcow2"
        if target.exists():
            return
        source = self.volume(volume_id)
        with file_errors(), _new_file(target) as new:
            _qemu_img("convert", "-q", "-U", "-f", "qcow2", "-O", "qcow2", str(source), str(new))

    def copy_snapshot(self, snapshot_id: str, source_snapshot_id: str) -> None:
        """A second name for the same blocks, as they never change; nothing if it exists."""
        target = self._snapshots / f"{_checked(snapshot_id)}.qcow2"
        source = self.snapshot(source_snapshot_id)
        with file_errors():
            try:
                os.link(source, target)
            except FileExistsError:
                return

    def import_snapshot(self, snapshot_id: str, path: Path) -> None:
        """Take over a qcow2 (copied as it is when it stands alone) or raw file; nothing if the snapshot exists."""
        target = self._snapshots / f"{_checked(snapshot_id)}.qcow2"
        if target.exists():
            return
        if not path.is_file():
            raise MachineError(f"snapshot {snapshot_id}: no file {path}")
        info = _info(path)
        kind = str(info["format"])
        if kind not in {"qcow2", "raw"}:
            raise MachineError(f"snapshot {snapshot_id}: {path} is {kind}; allowed are qcow2 and raw")
        with file_errors(), _new_file(target) as new:
            if kind == "qcow2" and "backing-filename" not in info:
                shutil.copyfile(path, new)
            else:
                _qemu_img("convert", "-q", "-f", kind, "-O", "qcow2", str(path), str(new))

    def export_snapshot(self, snapshot_id: str, path: Path, kind: str) -> None:
        """Write a snapshot out as qcow2 or raw."""
        _qemu_img("convert", "-q", "-f", "qcow2", "-O", kind, str(self.snapshot(snapshot_id)), str(path))

    def delete_snapshot(self, snapshot_id: str) -> None:
        """Remove a snapshot; volumes that grew from it keep its blocks; nothing if it does not exist."""
        with file_errors():
            (self._snapshots / f"{_checked(snapshot_id)}.qcow2").unlink(missing_ok=True)

    def _base(self, volume_id: str) -> Path:
        return self._volumes / f"{volume_id}.base.qcow2"


def make_overlay(disk: Path, target: Path) -> None:
    """A new file through which a VM sees a disk that it doesn't change."""
    _qemu_img("create", "-q", "-f", "qcow2", "-F", "qcow2", "-b", str(disk.absolute()), str(target))


def _checked(name: str) -> str:
    if not _ID.match(name) or name.endswith(".base"):
        raise MachineError(f"id {name!r}: allowed are up to 64 letters, digits, dots, hyphens and underscores")
    return name


def _existing(path: Path, what: str) -> Path:
    if not path.is_file():
        raise MachineError(f"{what} does not exist on this machine ({path} is missing)")
    return path


def _virtual_size(path: Path) -> int:
    return int(str(_info(path)["virtual-size"]))


def _info(path: Path) -> dict[str, object]:
    info: dict[str, object] = json.loads(_qemu_img("info", "-U", "--output=json", str(path)))
    return info


def _qemu_img(*arguments: str) -> str:
    try:
        done = subprocess.run(
            ["qemu-img", *arguments],
            env=plain(),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=QEMU_IMG_LIMIT_S,
            check=False,
        )
    except FileNotFoundError:
        raise MachineError("qemu-img is missing: apt-get install qemu-utils") from None
    except subprocess.TimeoutExpired:
        raise MachineError(
            f"qemu-img {arguments[0]} was not done after {QEMU_IMG_LIMIT_S:.0f} s and was ended"
        ) from None
    if done.returncode != 0:
        lines = [line for line in done.stderr.splitlines() if line.strip()]
        said = lines[-1] if lines else f"status {done.returncode}"
        if "No space left on device" in done.stderr:
            raise MachineError(f"no space left on the disk of the sandbox's home: free some, then try again ({said})")
        raise MachineError(f"qemu-img {arguments[0]} failed: {said}")
    return done.stdout


@contextmanager
def _new_file(target: Path) -> Iterator[Path]:
    """A name beside `target` that becomes `target` when all went well."""
    new = target.with_name(f".new-{uuid.uuid4().hex}")
    try:
        yield new
        new.rename(target)
    finally:
        new.unlink(missing_ok=True)


@contextmanager
def file_errors() -> Iterator[None]:
    """Raise the file system's errors as MachineError."""
    try:
        yield
    except OSError as error:
        raise MachineError(f"{error.filename or 'disk'}: {error.strerror}") from error
