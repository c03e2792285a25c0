"""The local cloud in this process, as the domain reaches it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from omi.outscale.client import Cloud
from omi.state.image import CloudAccess
from tests.omi.specs import make_access
from tests.sandbox.client import Oapi, Sandbox, settings_for


@pytest.fixture
def sandbox(tmp_path: Path, impatient: None, boto3_read_once: None) -> Iterator[Sandbox]:
    """A quick sandbox without QEMU."""
    running = Sandbox(settings_for(tmp_path / "home"))
    yield running
    running.close()


@pytest.fixture
def access(sandbox: Sandbox) -> CloudAccess:
    """The account `main` of it."""
    return access_of(sandbox, "main")


@pytest.fixture
def client(sandbox: Sandbox) -> Oapi:
    """A plain client of the same account."""
    return sandbox.oapi("main")


@pytest.fixture
def cloud(access: CloudAccess) -> Cloud:
    """The same account, as the domain reaches it."""
    return Cloud.connect(access)


def access_of(sandbox: Sandbox, profile: str) -> CloudAccess:
    """One of its accounts."""
    known = sandbox.profiles[profile]
    return make_access(
        region=known["region"],
        api=known["endpoints"]["api"],
        ca_file=str(sandbox.settings.ca_file),
        osc_file=str(sandbox.settings.profiles_file),
        osc_profile=profile,
    )
