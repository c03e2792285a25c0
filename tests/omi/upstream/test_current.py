"""Which release counts, for every state the site and the mirror can be in."""

from __future__ import annotations

import pytest

from omi.support.errors import UpstreamError
from omi.upstream.current import current_release
from omi.upstream.model import Branch, MirrorRelease, Upstream
from tests.omi.plan.make import TODAY, build

FRESH, OLD = MirrorRelease("3.23.6"), MirrorRelease("3.23.4", stale=True)


def known(listed: str | None, mirror: MirrorRelease | None, arches: tuple[str, ...] = ("x86_64",)) -> Upstream:
    releases = (listed,) if listed else ()
    return Upstream((Branch("3.23", releases, None, arches),), {("3.23", "x86_64"): mirror} if mirror else {})


@pytest.mark.parametrize(
    ("listed", "mirror", "recorded", "release", "warning"),
    [
        ("3.23.6", FRESH, "3.23.5", "3.23.6", None),
        (None, FRESH, None, "3.23.6", None),
        ("3.23.10", FRESH, None, "3.23.6", "the mirror only has 3.23.6"),
        ("3.23.5", FRESH, None, "3.23.6", "does not name yet"),
        ("3.23.5", FRESH, "3.23.7", "3.23.6", "does not name yet"),
        ("3.23.6", MirrorRelease(None), "3.23.5", "3.23.5", "counts as recorded"),
        ("3.23.6", OLD, None, "3.23.4", "releases.json names 3.23.6"),
        ("3.23.6", OLD, "3.23.5", "3.23.5", "releases.json names 3.23.6"),
        ("3.23.6", OLD, "3.23.10", "3.23.10", "counts as last known"),
        ("3.23.6", None, "3.23.5", "3.23.5", "may not have yet"),
        ("3.23.6", None, None, "3.23.6", "counts as releases.json names it"),
        (None, None, "3.23.5", "3.23.5", "counts as last known"),
    ],
)
def test_release_that_counts(
    listed: str | None, mirror: MirrorRelease | None, recorded: str | None, release: str, warning: str | None
) -> None:
    current = current_release(build(recorded_release=recorded), known(listed, mirror), TODAY)
    assert current.release == release
    if warning is None:
        assert current.warning is None
    else:
        assert warning in (current.warning or "")


def test_branch_that_the_mirror_has_no_release_of_yet() -> None:
    with pytest.raises(UpstreamError, match=r"^v3_23: Alpine 3\.23 for x86_64 has no release on the mirror yet; "):
        current_release(build(), known("3.23.6", MirrorRelease(None)), TODAY)


@pytest.mark.parametrize("state", [Upstream(), known(None, None), known("3.23.6", None, arches=("aarch64",))])
def test_nothing_known_at_all(state: Upstream) -> None:
    with pytest.raises(UpstreamError, match=r"^v3_23: the release of Alpine 3\.23 for x86_64 is not known"):
        current_release(build(), state, TODAY)


def test_pin_needs_nobody() -> None:
    assert current_release(build(release="3.23.1"), Upstream(), TODAY).release == "3.23.1"


def test_edge_is_the_day() -> None:
    assert current_release(build(version="edge"), Upstream(), TODAY).release == "edge-20261123"
