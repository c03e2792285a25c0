"""Whose the things of a stack are follows from its state, or nothing is done."""

from __future__ import annotations

from typing import Any

import pytest

from omi.plan.held import MEMORY, STASH_TYPE, read_state
from omi.plan.memory import Memory
from omi.state.image import ImageSpec
from omi.state.ledger import COMMAND_TYPE, StoredCommand
from omi.state.owner import STACK_ID
from omi.support.errors import StateError
from tests.omi.specs import OWNER, make_record, make_spec


def stash(name: str, **outputs: Any) -> dict[str, Any]:
    return {f"urn:pulumi:s::p::{STASH_TYPE}::{name}": {"type": STASH_TYPE, "outputs": outputs}}


def image(spec: ImageSpec) -> dict[str, Any]:
    record = make_record(name=spec.name, snapshots=())
    outputs = {**StoredCommand.of("build", spec).__dict__, "stdout": record.to_json()}
    return {f"urn:pulumi:s::p::{COMMAND_TYPE}::{spec.name}": {"type": COMMAND_TYPE, "outputs": outputs}}


def id_in(*resources: dict[str, Any]) -> str:
    together = {urn: resource for each in resources for urn, resource in each.items()}
    return read_state(together, "p", "s").owner.stack_id


ONE = image(make_spec())
OTHER = image(make_spec(name="alpine-3.23.5-x86_64-r0", stack_id="another"))


def test_the_first_value_of_the_stash_is_the_id_whatever_the_images_say() -> None:
    assert id_in(stash(STACK_ID, output="kept", input="given again"), ONE, OTHER) == "kept"
    assert id_in(stash("something else", output="no"), ONE) == OWNER.stack_id


def test_an_id_that_was_lost_is_that_of_the_images() -> None:
    assert id_in(ONE) == OWNER.stack_id
    assert id_in({"urn::" + STACK_ID: {"type": "other", "outputs": {"output": "no"}}}, ONE) == OWNER.stack_id


def test_a_fresh_stack_has_an_id_of_its_own() -> None:
    assert id_in() != id_in()
    assert read_state({}, "p", "s").is_fresh
    assert not read_state(ONE, "p", "s").is_fresh
    assert not read_state(stash(STACK_ID, output="kept"), "p", "s").is_fresh


def test_images_of_several_stacks_without_an_id_are_refused() -> None:
    with pytest.raises(StateError, match=f"of several stacks \\({OWNER.stack_id}, another\\); bring back"):
        id_in(ONE, OTHER)


@pytest.mark.parametrize("wrong", ["", 7, {}, False])
def test_what_is_no_id_is_refused_rather_than_replaced(wrong: object) -> None:
    with pytest.raises(StateError, match="is not an id; bring back an earlier state"):
        id_in(stash(STACK_ID, output=wrong), ONE)


def test_the_memory_is_the_newest_and_one_that_cannot_be_read_is_refused() -> None:
    kept = Memory(protected=("a",)).model_dump(mode="json")
    assert read_state(stash(MEMORY, input=kept, output={}), "p", "s").memory.protected == ("a",)
    assert read_state({}, "p", "s").memory == Memory()
    with pytest.raises(StateError, match=r"memory: cannot be read: .*the next update writes it anew"):
        read_state(stash(MEMORY, input={"protected": 1}), "p", "s")
