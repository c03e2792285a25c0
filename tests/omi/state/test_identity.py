from __future__ import annotations

from datetime import date

from omi.state.identity import Identity
from omi.state.owner import STANDS_FOR, VERIFIED, build_id_of
from omi.state.withdrawal import Withdrawal
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


def test_only_the_tag_and_the_end_that_this_stack_gives_a_description_say_that_it_was_verified() -> None:
    spec = make_spec(description="Alpine, verified by QA (b-0123456789abcdef, verified)")
    gone = Withdrawal(why="revoked", shared=True, deprecated=date(2026, 11, 1), reason="not, verified")
    other = make_spec(stack_id="fedcba9876543210")

    def is_verified(description: str, tags: dict[str, str] | None = None) -> bool:
        return spec.owner.has_verified(spec.name, tags or {}, description)

    for withdrawal in (None, gone):
        identity = Identity(spec.model_copy(update={"withdrawal": withdrawal}))
        assert is_verified(identity.described(verified=True))
        assert not is_verified(identity.description)
        assert not is_verified(identity.described(verified=True), {STANDS_FOR: "sha256:1"})
    assert not is_verified(Identity(other).described(verified=True))
    assert [is_verified("", {VERIFIED: value}) for value in ("yes", "no", "")] == [True, False, False]
    assert is_verified("", {VERIFIED: "yes", STANDS_FOR: "sha256:1"})


def test_what_another_stack_took_over_is_not_taken_over_by_this_one() -> None:
    owner, other = make_spec().owner, make_spec(stack_id="5" * 16).owner
    for worn, expected in (({STANDS_FOR: "x"}, True), ({}, False)):
        assert owner.has_taken_over("a", {**owner.tags, "build-id": build_id_of(owner, "a"), **worn}) is expected
        assert not owner.has_taken_over("a", {**other.tags, "build-id": build_id_of(owner, "a"), **worn})
        assert not owner.has_taken_over("a", {**owner.tags, "build-id": build_id_of(owner, "b"), **worn})
    assert not owner.has_taken_over("a", {STANDS_FOR: "x"})


def test_tags_keep_within_what_the_cloud_allows() -> None:
    tags = Identity(make_spec()).tags
    assert all(0 < len(value) <= 255 for value in tags.values())
    assert {"project", "stack", "stack-id", "build-id", "digest", "release", "arch", "revision"} <= set(tags)
