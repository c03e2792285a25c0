"""Disks without blocks: each is a small JSON file that holds what was installed on it."""

from __future__ import annotations

import json
from pathlib import Path

from sandbox.machines.disks import file_errors
from sandbox.machines.protocol import MachineError


class StubDisks:
    """Volumes and snapshots of stub VMs in one folder; their content is the settings an image was built by.

    Empty settings are a disk that nothing was installed on.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        with file_errors():
            folder.mkdir(parents=True, exist_ok=True)

    def make(self, disk_id: str, source_id: str | None) -> None:
        """An empty disk or a copy; nothing if it exists."""
        if not self._path(disk_id).exists():
            self.write(disk_id, self.read(source_id) if source_id else "")

    def take(self, disk_id: str, path: Path) -> None:
        """A copy of a file of this machine that is such a disk."""
        try:
            self.write(disk_id, str(json.loads(path.read_text(encoding="utf-8"))["settings"]))
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise MachineError(f"snapshot {disk_id}: {path} is not a disk of stub VMs ({error!r})") from error

    def give(self, disk_id: str, path: Path) -> None:
        """Write a copy that `take` can read."""
        with file_errors():
            path.write_bytes(self._path(disk_id).read_bytes())

    def delete(self, disk_id: str) -> None:
        """Nothing if there is none."""
        with file_errors():
            self._path(disk_id).unlink(missing_ok=True)

    def read(self, disk_id: str) -> str:
        """The settings of the image that is on it."""
        try:
            content: dict[str, str] = json.loads(self._path(disk_id).read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            raise MachineError(f"{disk_id} does not exist on this machine ({error})") from error
        return content["settings"]

    def write(self, disk_id: str, settings: str) -> None:
        """Install an image on it."""
        with file_errors():
            path = self._path(disk_id)
            new = path.with_suffix(".new")
            new.write_text(json.dumps({"settings": settings}), encoding="utf-8")
            new.replace(path)

    def _path(self, disk_id: str) -> Path:
        return self._folder / f"{disk_id}.json"
