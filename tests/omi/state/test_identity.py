from __future__ import annotations

from omi.state.identity import Identity
from tests.omi.specs import make_spec


def test_the_build_id_is_the_same_in_every_run_and_differs_for_every_image() -> None:
    first = Identity(make_spec()).build_id
    assert Identity(make_spec()).build_id == first
    others = [make_spec(stack_id="fedcba9876543210"), make_spec(name="alpine-3.23.6-x86_64-r1")]
    assert len({first, *(Identity(spec).build_id for spec in others)}) == 3


def test_a_renamed_stack_keeps_its_builds_and_another_of_its_name_has_others() -> None:
    own = Identity(make_spec()).build_id
    assert Identity(make_spec(project="p", stack="renamed")).build_id == own
    assert Identity(make_spec(stack_id="fedcba9876543210")).build_id != own


def test_tags_keep_within_what_the_cloud_allows() -> None:
    tags = Identity(make_spec()).tags
    assert all(0 < len(value) <= 255 for value in tags.values())
    assert {"project", "stack", "stack-id", "build-id", "digest", "release", "arch", "revision"} <= set(tags)
