"""One project on one sandbox for all end-to-end tests of a module; both are gone afterwards."""

from __future__ import annotations

import os
import socket
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.e2e.held import HeldProject, held_project
from tests.e2e.project import Project

_WORKERS, _EACH = 40, 200
"""Test processes, and how many ports each has for its own."""


@contextmanager
def running_project(*, stubs: bool = False) -> Iterator[Project]:
    """A project whose sandbox runs; both are gone afterwards, and what its commands printed is told."""
    # a short path: QEMU's sockets lie below it, and their names may have 107 bytes at most
    with tempfile.TemporaryDirectory(prefix="omi-e2e-") as folder:
        made = Project(Path(folder) / "project", Path(folder) / "cloud", free_ports(), stubs=stubs)
        try:
            started = made.start_cloud()
            assert started.code == 0, started.text
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


def free_ports(worker: str = os.environ.get("PYTEST_XDIST_WORKER", "gw0")) -> int:
    """The first of four ports in a row that nobody listens on now, of those that are this test process's own.

    A sandbox listens only a while after it was told its ports: two processes that look at the same time must not find
    the same.
    """
    first = 7600 + int(worker.removeprefix("gw")) % _WORKERS * _EACH
    for base in range(first, first + _EACH, 10):
        with socket.socket() as one, socket.socket() as two, socket.socket() as three, socket.socket() as four:
            try:
                for offset, listener in enumerate((one, two, three, four)):
                    listener.bind(("127.0.0.1", base + offset))
            except OSError:
                continue
            return base
    raise RuntimeError(f"no four free ports in a row between {first} and {first + _EACH}")
