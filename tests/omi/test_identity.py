from __future__ import annotations

from omi.identity import Identity
from tests.omi.specs import make_spec


def test_the_build_id_is_the_same_in_every_run_and_differs_for_every_image() -> None:
    first = Identity(make_spec()).build_id
    assert Identity(make_spec()).build_id == first
    others = [make_spec(project="p"), make_spec(stack="s"), make_spec(name="alpine-3.23.6-x86_64-r1")]
    assert len({first, *(Identity(spec).build_id for spec in others)}) == 4


def test_fields_that_touch_each_other_do_not_mix() -> None:
    one, other = make_spec(project="ab", stack="c"), make_spec(project="a", stack="bc")
    assert Identity(one).build_id != Identity(other).build_id


def test_tags_keep_within_what_the_cloud_allows() -> None:
    tags = Identity(make_spec()).tags
    assert all(0 < len(value) <= 255 for value in tags.values())
    assert {"project", "stack", "build-id", "digest", "release", "arch", "revision"} <= set(tags)
