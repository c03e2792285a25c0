"""What Alpine tells, rightly or wrongly, and what others have made, as real pulumi takes it; no VM runs.

The tests of this module are one story and run in their order.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pytest

from tests.e2e.held import HeldProject, held_project
from tests.omi.upstream.site import Page, branch, listing

pytestmark = pytest.mark.slow

HELD = "one-3.23.6-x86_64-r0"
FOREIGN, OTHER = "two-3.23.6-x86_64-r0", "three-3.23.6-x86_64-r0"
SUPPORTED: dict[str, Any] = {"versions": "supported", "arch": ["x86_64"]}


@pytest.fixture(scope="module")
def held() -> Iterator[HeldProject]:
    with held_project() as made:
        made.hold("one")
        yield made


def write_profile(held: HeldProject, builds: dict[str, dict[str, Any]], **rest: Any) -> None:
    """The build that is held, and others."""
    held.write_profile("one", **rest)
    for name, build in builds.items():
        held.project.edit_profile(name, build)


def planned(held: HeldProject) -> tuple[dict[str, str], str]:
    """Action by image of what isn't merely kept, and the warnings."""
    made = json.loads(held.omi("plan", "-s", "e2e", "--json"))
    news = {step["image"]: step["action"] for step in made["steps"] if step["action"] != "keep"}
    return news, "\n".join(made["warnings"])


def test_what_each_build_wants_while_alpine_answers_wrongly(held: HeldProject) -> None:
    builds = {
        "down": {"version": "3.22", "prefix": "down-"},
        "wrong": {"version": "3.24", "prefix": "wrong-"},
        "pinned": {"version": "3.22", "prefix": "pinned-", "release": "3.22.3"},
    }
    write_profile(held, builds)
    held.site.latest("3.22", "", status=503)
    held.site.latest("3.24", "<html>")
    held.site.pages["/releases.json"] = Page(b"{")
    news, warnings = planned(held)
    wanted = {"down-3.22.6-x86_64-r0", "wrong-3.24.2-x86_64-r0", "pinned-3.22.3-x86_64-r0"}
    assert news == dict.fromkeys(wanted, "build")
    assert "3.22 for x86_64: the mirror can't be asked, so 3.22.6 counts as last known" in warnings
    assert "3.24/releases/x86_64/latest-releases.yaml: is not a list of releases" in warnings
    assert "/releases.json: is not a releases.json" in warnings


def test_the_mirror_counts_where_releases_json_is_ahead_or_behind(held: HeldProject) -> None:
    write_profile(
        held, {"lags": {"version": "3.22", "prefix": "lags-"}, "leads": {"version": "3.24", "prefix": "leads-"}}
    )
    held.site.latest("3.22", listing("3.22.9"))
    held.site.latest("3.24", listing("3.24.3"))
    held.site.releases(branch("3.23", "3.23.6"), branch("3.22", "3.22.10"), branch("3.24", "3.24.2"))
    news, warnings = planned(held)
    assert news == {"lags-3.22.9-x86_64-r0": "build", "leads-3.24.3-x86_64-r0": "build"}
    assert "releases.json names 3.22.10, but the mirror only has 3.22.9, which counts" in warnings
    assert "the mirror has 3.24.3, which releases.json does not name yet" in warnings


def test_a_key_that_alpine_has_given_up_is_not_trusted_any_more(held: HeldProject) -> None:
    write_profile(held, {})
    pinned = sorted(path.name for path in (held.project.folder / "profiles" / "keys").iterdir())
    listed = [{"url": f"https://alpinelinux.org/keys/{name}", "deprecated_since": "2026-11-01"} for name in pinned]
    held.site.latest("3.23", listing("3.23.6"))
    held.site.releases(branch("3.23", "3.23.6", keys={"x86_64": listed[:1]}))
    shown = held.pulumi("preview")
    assert f"revision r1: the key {pinned[0]} is deprecated by Alpine since 2026-11-01" in shown
    assert f"warning: the signing key {pinned[0]} is deprecated by Alpine since 2026-11-01" in shown
    held.site.releases(branch("3.23", "3.23.6", keys={"x86_64": listed}))
    refused = held.project.pulumi("preview", "-s", "e2e")
    assert refused.code != 0
    assert "one: Alpine has deprecated every key of the profile" in refused.text
    assert "Traceback" not in refused.text


def test_supported_branches_are_found_and_edge_where_it_is_asked_for(held: HeldProject) -> None:
    held.site.releases(
        branch("3.23", "3.23.6"),
        branch("3.25", "3.25.0"),
        branch("3.26"),  # cut, but nothing of it is released yet
        branch("3.20", "3.20.10", eol_date="2026-04-01"),
    )
    held.site.latest("3.25", listing("3.25.0"))
    supported = {"alpine-3.23.6-x86_64-r0": "build", "alpine-3.25.0-x86_64-r0": "build"}
    write_profile(held, {}, discover=SUPPORTED)
    assert planned(held)[0] == supported
    write_profile(held, {}, discover={**SUPPORTED, "edge": 2})
    edge = f"alpine-edge-{datetime.now(UTC):%Y%m%d}-x86_64-r0"
    assert planned(held)[0] == supported | {edge: "build"}


def test_a_new_branch_that_the_mirror_does_not_have_yet_holds_nothing_up(held: HeldProject) -> None:
    write_profile(held, {}, discover=SUPPORTED)
    held.site.releases(branch("3.25", "3.25.0"), branch("3.27", "3.27.0"))
    news, warnings = planned(held)
    assert "alpine-3.25.0-x86_64-r0" in news
    assert not any("3.27" in name for name in news)
    assert "Alpine 3.27 for x86_64 has no release on the mirror yet" in warnings


def test_an_image_of_another_hand_is_adopted_as_it_is(held: HeldProject) -> None:
    held.offer("3.23.6")
    held.write_profile("one", "two", "three")
    tags = {"project": "another", "stack": "theirs"}
    found = {name: held.register(name, tags) for name in (FOREIGN, OTHER)}
    before = held.image(found[FOREIGN])
    shown = held.pulumi("preview")
    assert f"{found[FOREIGN]} of that name is in the account, made by someone else" in shown
    held.pulumi("up", "--yes", "--skip-preview", "--target", "**two**", "--target-dependents")
    plan = held.plan()
    assert (plan[FOREIGN]["action"], plan[FOREIGN]["adopted"]) == ("keep", True)
    assert plan[OTHER]["action"] == "adopt"  # the target left the other build alone
    assert held.image(found[FOREIGN]) == before


def test_it_is_never_changed_and_stays_when_its_build_goes(held: HeldProject) -> None:
    omi = held.plan()[FOREIGN]["omi"]
    before = held.image(omi)
    held.write_profile("one", "two", access={"public": True})
    step = held.plan()[FOREIGN]
    assert step["updates"] is False
    assert "made by someone else, so never changed" in step["reason"]
    held.write_profile("one")
    assert "removed from profile; made by someone else, so only forgotten" in held.pulumi("preview")
    held.pulumi("up", "--yes", "--skip-preview")
    assert set(held.plan()) == {HELD}
    assert held.image(omi) == before


def test_edge_is_kept_to_its_newest_images(held: HeldProject) -> None:
    days = ("20261102", "20261109", "20261116")
    omis = {day: held.register(f"alpine-edge-{day}-x86_64-r0") for day in days}
    for day in days:
        write_profile(held, {"edge-x86_64": {"version": "edge", "release": day}})
        held.pulumi("up", "--yes", "--skip-preview")
    held.call_own()
    held.register("alpine-3.23.6-x86_64-r0")  # so that the branch which is asked for beside edge needs no VM
    oldest = f"alpine-edge-{days[0]}-x86_64-r0"
    keep_two: dict[str, Any] = {"versions": ["3.23"], "edge": 2}
    write_profile(held, {}, discover=keep_two)
    today = f"alpine-edge-{datetime.now(UTC):%Y%m%d}-x86_64-r0"
    assert planned(held)[0] == {oldest: "prune", today: "build", "alpine-3.23.6-x86_64-r0": "adopt"}
    assert held.plan()[oldest]["reason"] == "edge: the newest 2 images are kept"
    write_profile(held, {"edge-x86_64": {"version": "edge", "release": days[2]}}, discover=keep_two)
    held.pulumi("up", "--yes", "--skip-preview")
    assert [day for day in days if held.image(omis[day])] == list(days[1:])
