"""What tests of a whole stack's plan share."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.omi.plan.make import digest


@pytest.fixture(scope="module")
def varied_by_user() -> Iterator[None]:
    """A content's digest follows from the build's user alone."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("omi.plan.planning.image_digest", digest)
        yield
