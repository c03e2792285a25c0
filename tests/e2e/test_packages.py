"""A fixed package upstream shows in the plan of a profile that asks for it; no VM runs.

The tests of this module are one story and run in their order.
"""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest

from sandbox.config import default_cache
from sandbox.mirror import MirrorFault, MirrorServer, MirrorSettings, MirrorSource, serve
from tests.e2e.held import HeldProject, held_project

pytestmark = pytest.mark.slow
R0, R1 = "one-3.23.6-x86_64-r0", "one-3.23.6-x86_64-r1"
FIXED = "revision r1: libcrypto3 3.5.8-r0 → 3.5.9-r0"
INSTALLED = ["alpine-base=3.23.6-r0", "libcrypto3=3.5.8-r0"]


@pytest.fixture(scope="module")
def mirror() -> Iterator[MirrorServer]:
    running = serve(("127.0.0.1", 0), default_cache(), MirrorSettings(MirrorSource.FIXTURE))
    yield running
    running.close()


@pytest.fixture(scope="module")
def held(mirror: MirrorServer) -> Iterator[HeldProject]:
    """A stack with one image, whose Alpine is the fixture mirror, and whose packages count."""
    with held_project() as made:
        made.project.configure(
            "upstream",
            {
                "releases": f"{mirror.url}/releases.json",
                "mirror": f"{mirror.url}/alpine",
                "security": f"{mirror.url}/security",
            },
        )
        trust(made, str(mirror.status().keys))
        set_rebuild(made, "packages")
        made.hold("one")
        made.call_own(installed=INSTALLED)
        yield made


def trust(held: HeldProject, *keys: str) -> None:
    held.project.configure("vm", {"trusted_keys": list(keys)})


def set_rebuild(held: HeldProject, on: str) -> None:
    base = held.project.folder / "profiles" / "base" / "1.yaml"
    lines = [
        line for line in base.read_text(encoding="utf-8").splitlines() if not line.startswith(("rebuild_on:", "max_"))
    ]
    base.write_text("\n".join([*lines, f"rebuild_on: {on}", ""]), encoding="utf-8")


def test_while_the_mirror_stays_as_it_was_nothing_changes(held: HeldProject) -> None:
    assert {name: step["action"] for name, step in held.plan().items()} == {R0: "keep"}


def test_a_fixed_package_makes_the_next_revision_and_is_named(held: HeldProject, mirror: MirrorServer) -> None:
    mirror.publish_package("v3.23", "libcrypto3", "3.5.9-r0")
    plan = held.plan()
    assert (plan[R1]["action"], plan[R1]["reason"]) == ("build", FIXED)
    assert plan[R0]["reason"] == "current until its successor is there"
    assert FIXED in held.pulumi("preview")


def test_fixes_alone_count_where_the_profile_asks_for_them(held: HeldProject, mirror: MirrorServer) -> None:
    set_rebuild(held, "security")
    assert held.plan().keys() == {R0}
    mirror.publish_package("v3.23", "libcrypto3", "3.5.9-r1", ("CVE-2026-1", "CVE-2026-2"))
    fixed = "revision r1: libcrypto3 3.5.8-r0 → 3.5.9-r1 (CVE-2026-1, CVE-2026-2)"
    assert held.plan()[R1]["reason"] == fixed
    assert fixed in held.pulumi("preview")
    set_rebuild(held, "packages")


def test_an_update_and_publish_list_the_fixes_that_an_image_lacks(held: HeldProject, mirror: MirrorServer) -> None:
    """Also of a build that only limits them; the sources are those of the signed index."""
    set_rebuild(held, "content\nmax_missing_fixes: 9")
    held.pulumi("up", "--yes", "--skip-preview")
    feed = held.project.folder / "releases" / "sandbox" / "alpine.json"
    (image,) = json.loads(feed.read_text(encoding="utf-8"))["images"]
    missing = image["missing_fixes"]
    assert missing["count"] == 2
    assert [(fix["origin"], fix["packages"], fix["fixed"]) for fix in missing["fixes"]] == [
        ("openssl", ["libcrypto3"], "3.5.9-r1")
    ]
    mirror.publish_package("v3.23", "libcrypto3", "3.5.9-r2", ("CVE-2026-3",))
    held.omi("publish", "-s", "e2e")
    document = feed.parent / "alpine" / "eu-west-2" / f"{image['name']}.fixes.json"
    told = json.loads(document.read_text(encoding="utf-8"))
    assert (told["count"], told["fixes"][0]["ids"]) == (3, ["CVE-2026-1", "CVE-2026-2", "CVE-2026-3"])
    set_rebuild(held, "packages")


def test_without_the_mirror_nothing_is_built(held: HeldProject, mirror: MirrorServer) -> None:
    mirror.set_fault(MirrorFault.DOWN)
    try:
        told = json.loads(held.omi("plan", "-s", "e2e", "--json"))
    finally:
        mirror.set_fault(None)
    assert not told["changes"]
    assert any("one: whether newer packages are offered is not known" in warning for warning in told["warnings"])


def test_a_build_waits_whose_index_nobody_trusted_has_signed(held: HeldProject, mirror: MirrorServer) -> None:
    keys = mirror.status().keys
    assert keys is not None
    (key,) = (path.name for path in keys.iterdir())
    trust(held)
    done = held.project.run("python3", "-m", "omi", "plan", "-s", "e2e")
    assert done.code == 9
    assert f"/alpine/v3.23/community/x86_64/APKINDEX.tar.gz: is signed by {key}, which is not trusted" in done.text
    assert "Traceback" not in done.text


def test_a_profile_that_does_not_ask_needs_no_index(held: HeldProject) -> None:
    """Turning it off builds nothing either."""
    set_rebuild(held, "content")
    told = json.loads(held.omi("plan", "-s", "e2e", "--json"))
    assert (told["changes"], told["warnings"]) == (False, [])
