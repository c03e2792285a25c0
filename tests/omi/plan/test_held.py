"""Whose the things of a stack are follows from its state, or nothing is done."""

from __future__ import annotations

from typing import Any

import pytest

from omi.config.regions import KnownRegion
from omi.plan.held import MEMORY, REGIONS, STASH_TYPE, read_state
from omi.plan.memory import Memory
from omi.state.image import ImageSpec
from omi.state.ledger import COMMAND_TYPE, StoredCommand
from omi.state.owner import STACK_ID
from omi.support.errors import SettingsError, StateError
from tests.omi.specs import OWNER, make_access, make_record, make_spec


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


def test_a_state_without_an_id_takes_the_one_that_is_to_be_recovered_and_one_with_another_refuses_it() -> None:
    fresh = read_state({}, "p", "s", "lost")
    assert (fresh.owner.stack_id, fresh.is_fresh) == ("lost", True)
    for state in (stash(STACK_ID, output="kept"), ONE):
        known = read_state(state, "p", "s").owner.stack_id
        assert read_state(state, "p", "s", known).owner.stack_id == known
        with pytest.raises(SettingsError, match=f"lost is asked for, but this state is of the stack id {known}: "):
            read_state(state, "p", "s", "lost")


def test_a_stash_without_outputs_is_read_as_none() -> None:
    (urn,) = stash(STACK_ID)
    assert read_state({urn: {"type": STASH_TYPE}}, "p", "s").is_fresh


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


def test_a_state_from_before_the_regions_were_kept_knows_none_and_the_newest_count() -> None:
    assert read_state(ONE, "p", "s").known == {}
    there = KnownRegion(cloud=make_access(region="us-east-2"), account="000000000001")
    kept = {"us-east-2": there.model_dump_json()}
    assert read_state(stash(REGIONS, input=kept, output={}), "p", "s").known == {"us-east-2": there}
    with pytest.raises(StateError, match=r"regions: cannot be read: .*; use the version that wrote it, or bring back"):
        read_state(stash(REGIONS, input={"us-east-2": '{"cloud": 1}'}), "p", "s")
