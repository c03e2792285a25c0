from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from sandbox.config import default_cache
from sandbox.machines.qemu import QemuMachines
from sandbox.source_omi import SourceDisk, ensure


@pytest.fixture(scope="session")
def source_disk() -> SourceDisk:
    """The source OMI of the user's own cache, made at the first use."""
    return ensure(default_cache())


@pytest.fixture
def machines(tmp_path: Path) -> Iterator[QemuMachines]:
    """Machines whose VMs are unplugged at the end."""
    machines = QemuMachines(tmp_path / "home")
    yield machines
    for folder in (tmp_path / "home" / "vms").glob("*"):
        machines.stop_vm(folder.name, force=True)
    machines.close()
