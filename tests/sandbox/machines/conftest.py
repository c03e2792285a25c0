from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from sandbox.machines.qemu import QemuMachines
from sandbox.source_omi import SourceDisk, ensure


@pytest.fixture(scope="session")
def source_disk() -> SourceDisk:
    """The source OMI of the user's own cache, made at the first use."""
    cache = os.environ.get("ALPINE_OMI_CACHE") or Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache") / "alpine-omi"
    return ensure(Path(cache).expanduser())


@pytest.fixture
def machines(tmp_path: Path) -> Iterator[QemuMachines]:
    """Machines whose VMs are unplugged at the end."""
    machines = QemuMachines(tmp_path / "home")
    yield machines
    for folder in (tmp_path / "home" / "vms").glob("*"):
        machines.stop_vm(folder.name, force=True)
    machines.close()
