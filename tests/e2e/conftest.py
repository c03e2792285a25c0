"""One project on one sandbox for all end-to-end tests of a module; both are gone afterwards."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.e2e.held import HeldProject, held_project
from tests.e2e.project import Project
from tests.sandbox.ports import free_base_port


@contextmanager
def running_project(*, stubs: bool = False) -> Iterator[Project]:
    """A project whose sandbox runs; both are gone afterwards, and what its commands printed is told."""
    # a short path: QEMU's sockets lie below it, and their names may have 107 bytes at most
    with tempfile.TemporaryDirectory(prefix="omi-e2e-") as folder:
        made = Project(Path(folder) / "project", Path(folder) / "cloud", free_base_port(), stubs=stubs)
        try:
            started = made.start_cloud()
            assert started.code == 0, started.end
            yield made
        finally:
            made.sandbox("stop")
            print(made.log_tail())


@pytest.fixture(scope="module")
def project() -> Iterator[Project]:
    with running_project() as made:
        yield made


@pytest.fixture(scope="module")
def stub_project() -> Iterator[Project]:
    """With stub VMs, a profile of one build and a stack: for what is not about images, since none is a real one."""
    with running_project(stubs=True) as made:
        made.edit_profile("v3_22-x86_64", None)
        assert made.pulumi("stack", "init", "e2e").code == 0
        yield made


@pytest.fixture(scope="module")
def held() -> Iterator[HeldProject]:
    """A stack that is to hold images without a VM ever having run; modules that begin otherwise have their own."""
    with held_project() as made:
        yield made
