"""The order of all tests, how many random cases they try, what they share, and what they leave to look at."""

from __future__ import annotations

import time
from collections.abc import Iterator
from functools import cache
from itertools import zip_longest
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, settings

from tests.omi.examples import EXAMPLES

if TYPE_CHECKING:
    from botocore.client import ClientCreator
    from botocore.model import ServiceModel

SCREENSHOTS = Path(__file__).resolve().parents[1] / "build" / "screenshots"
"""Of the site, by its tests in a browser."""
BENCHES = Path(__file__).with_name("bench")
RELIABILITY = Path(__file__).with_name("reliability")
_START = time.time()

# How long a case takes says more of the machine than of the program: no test fails for it.
settings.register_profile(
    "house", deadline=None, suppress_health_check=[HealthCheck.too_slow], max_examples=min(EXAMPLES, 100)
)
settings.load_profile("house")


@pytest.fixture(scope="session")
def boto3_read_once() -> Iterator[None]:
    """What boto3 reads and makes of S3's description is the same for all tests of a process: a third of a second."""
    import boto3.session
    import botocore.session
    from botocore import client

    from omi.outscale.credentials import lone_session

    new, made = boto3.session.Session, dict[str, dict[str, Any]]()
    usual, lone = botocore.session.Session(), cache(lone_session)
    of = cache(lambda own: new(botocore_session=own))
    make = vars(client.ClientCreator)["_create_methods"]

    def methods(creator: ClientCreator, service: ServiceModel) -> dict[str, Any]:
        name = service.service_name
        if name not in made:
            made[name] = make(creator, service)
        return dict(made[name])

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(boto3.session, "Session", lambda botocore_session=None: of(botocore_session or usual))
        patch.setattr("omi.outscale.oos.lone_session", lone)
        patch.setattr(client.ClientCreator, "_create_methods", methods)
        yield


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """First the modules that take minutes each, so that none of them is left over when all else has ended: by turns one
    that builds whole images and one that waits for a cloud that doesn't answer, which leaves the other the processor.
    """
    building = dict.fromkeys(
        item.path
        for item in items
        if {"project", "machines"}.intersection(getattr(item, "fixturenames", ()))
        or (item.path.parent == BENCHES and item.get_closest_marker("slow"))
    )
    waiting = dict.fromkeys(item.path for item in items if RELIABILITY in item.path.parents)
    turns = [path for pair in zip_longest(building, waiting) for path in pair if path]
    place = {path: number for number, path in enumerate(turns)}
    items.sort(key=lambda item: place.get(item.path, len(place)))


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Name the folder of this run's screenshots, if it made any."""
    new = [path for path in SCREENSHOTS.glob("*.png") if path.stat().st_mtime > _START]
    if new:
        terminalreporter.write_line(f"{len(new)} screenshots of the site are in {SCREENSHOTS}")
