"""What a build declares to the engine, seen by Pulumi's mocks."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import replace
from datetime import date
from types import SimpleNamespace
from typing import Any

import pulumi
import pytest
from pulumi.runtime import MockCallArgs, MockResourceArgs, Mocks
from pulumi.runtime.stack import ResourceRegistrationFailed

from omi.config.regions import KnownRegion
from omi.config.settings import Endpoints, FurtherRegion, Settings
from omi.plan import Action, PlannedImage, Step
from omi.plan.held import REGIONS
from omi.plan.reasons import Because
from omi.profile.model import Target
from omi.publish.outputs import Outputs
from omi.state.image import ImageRecord, ImageSpec
from omi.state.ledger import LedgerImage, StoredCommand
from omi.state.owner import STACK_ID
from omi.support.errors import PlanError
from tests.omi.specs import OWNER, make_access, make_record, make_spec

BUILD = Target(profile="alpine", name="v3_23-x86_64", version="3.23")
SETTINGS = Settings(region="eu-west-2")
KNOWN = {"us-east-2": KnownRegion(cloud=make_access(region="us-east-2"))}


class Engine(Mocks):
    """Remembers what is declared and answers a command's creation with a record."""

    def __init__(self) -> None:
        self.declared: list[MockResourceArgs] = []

    def new_resource(self, args: MockResourceArgs) -> tuple[str | None, dict[str, Any]]:
        self.declared.append(args)
        outputs = dict(args.inputs)
        if args.typ == "command:local:Command":
            name, _, region = args.name.partition("@")
            outputs["stdout"] = record_of(name, region or "eu-west-2").to_json()
        return f"{args.name}-id", outputs

    def call(self, args: MockCallArgs) -> tuple[dict[str, Any], list[tuple[str, str]] | None]:
        return {}, None


def record_of(name: str, region: str = "eu-west-2") -> ImageRecord:
    return make_record(name=name, omi=f"ami-{name[-1] * 8}", region=region, used_bytes=94_000_000)


def planned(revision: int) -> Step:
    image = PlannedImage(BUILD, "3.23.6", revision, "sha256:new", date(2027, 11, 1))
    return Step(image, Action.BUILD, Because.FIRST_IMAGE(build=BUILD.name))


def kept(revision: int) -> Step:
    name = BUILD.image_name("3.23.6", revision)
    spec = make_spec(name=name, revision=revision, digest="sha256:old", build=BUILD)
    stored = StoredCommand("an older create", "an older update", "an older delete", spec.to_json())
    return Step(LedgerImage(spec.name, spec, record_of(spec.name), stored), Action.KEEP, Because.SUPERSEDED())


@pytest.fixture
def engine() -> Engine:
    engine = Engine()
    asyncio.set_event_loop(asyncio.new_event_loop())  # the mocks need one, which Python 3.14 doesn't make by itself
    pulumi.runtime.set_mocks(engine, project="alpine-omi", stack="test", preview=False)
    return engine


async def declare(steps: Sequence[Step], settings: Settings) -> dict[str, Any]:
    from components.profile_build import ProfileBuild
    from components.state import keep_regions, keep_stack_id

    build = ProfileBuild(BUILD.name, steps, settings, OWNER, [keep_stack_id(OWNER), keep_regions(KNOWN)])
    return {"images": await build.images.future(), "latest": await build.latest.future()}


def run(
    engine: Engine, *steps: Step, settings: Settings = SETTINGS
) -> tuple[dict[str, MockResourceArgs], dict[str, Any]]:
    told: dict[str, Any] = {}

    async def program() -> None:
        told.update(await declare(steps, settings))

    as_test: Any = pulumi.runtime.test
    as_test(program)()
    return {args.name: args for args in engine.declared}, told


def test_a_new_image_is_a_command_that_builds_updates_and_deletes(engine: Engine) -> None:
    declared, _ = run(engine, planned(0))
    assert declared["v3_23-x86_64"].typ == "alpine:omi:ProfileBuild"
    command = declared["alpine-3.23.6-x86_64-r0"]
    assert command.typ == "command:local:Command"
    assert {key: command.inputs[key] for key in ("create", "update", "delete")} == {
        "create": "exec python3 -m omi.commands build",
        "update": "exec python3 -m omi.commands update",
        "delete": "exec python3 -m omi.commands delete",
    }
    spec = ImageSpec.from_json(command.inputs["stdin"], "test")
    assert (spec.name, spec.stack, spec.digest) == ("alpine-3.23.6-x86_64-r0", "test", "sha256:new")
    assert "triggers" not in command.inputs
    assert "environment" not in command.inputs


def test_state_keeps_the_stacks_id_and_every_image_bears_it(engine: Engine) -> None:
    declared, _ = run(engine, planned(1), kept(0))
    assert declared[STACK_ID].inputs == {"input": OWNER.stack_id}
    spec = ImageSpec.from_json(declared["alpine-3.23.6-x86_64-r1"].inputs["stdin"], "test")
    assert spec.owner == OWNER


def test_nothing_is_made_before_state_keeps_the_stacks_id_and_its_regions(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By these a sweep finds what a killed build left."""
    from components.image_command import image_command

    awaited: dict[str, list[str]] = {}

    def note(name: str, stored: StoredCommand, parent: Any, after: Sequence[Any], **more: Any) -> Any:
        awaited[name] = [each._name for each in after]
        return image_command(name, stored, parent, after, **more)

    monkeypatch.setattr("components.profile_build.image_command", note)
    declared, _ = run(engine, planned(1), kept(0))
    names = ("alpine-3.23.6-x86_64-r1", "alpine-3.23.6-x86_64-r0")
    assert awaited == {name: [STACK_ID, REGIONS] for name in names}
    assert declared[REGIONS].inputs["input"] == {name: each.model_dump_json() for name, each in KNOWN.items()}


@pytest.mark.parametrize("held", [None, record_of("alpine-3.23.6-x86_64-r0")])
def test_of_a_command_that_failed_the_outputs_say_what_state_holds(engine: Engine, held: ImageRecord | None) -> None:
    from components.image_command import details

    said: list[Any] = []

    async def failed() -> str:
        raise ResourceRegistrationFailed("resource failed to register")

    async def program() -> None:
        command: Any = SimpleNamespace(stdout=pulumi.Output.from_input(failed()))
        said.append(await details(make_spec(name="alpine-3.23.6-x86_64-r0"), command, held).future())

    as_test: Any = pulumi.runtime.test
    as_test(program)()
    assert [each and each["omi"] for each in said] == [held and held.omi]


def test_a_kept_image_is_declared_to_the_byte_as_state_holds_it(engine: Engine) -> None:
    step = kept(0)
    assert isinstance(step.image, LedgerImage)
    declared, _ = run(engine, step)
    inputs = declared[step.name].inputs
    assert {key: inputs[key] for key in ("create", "update", "delete", "stdin")} == vars(step.image.command)


def test_outputs_tell_each_image_by_release_and_name_and_the_newest_alone(engine: Engine) -> None:
    _, told = run(engine, planned(1), kept(0))
    assert set(told["images"]["3.23.6"]) == {"alpine-3.23.6-x86_64-r1", "alpine-3.23.6-x86_64-r0"}
    assert told["images"]["3.23.6"]["alpine-3.23.6-x86_64-r0"] == {
        "omi": "ami-00000000",
        "snapshots": ["snap-00000001"],
        "region": "eu-west-2",
        "revision": "r0",
        "created": "2026-11-23T00:00:00Z",
        "volume_size": 1,
        "used_bytes": 94_000_000,
        "digest": "sha256:old",
        "user": "alpine",
        "stage": "current",
        "access": {"public": False, "accounts": []},
        "removal": None,
        "revoked": None,
        "made_by": None,
        "regions": None,
    }
    outputs = {kind: {BUILD.name: told[kind]} for kind in ("images", "latest")}
    assert Outputs.model_validate(outputs).model_dump(mode="json") == outputs, "all of it is promised"
    assert (told["latest"]["name"], told["latest"]["omi"]) == ("alpine-3.23.6-x86_64-r1", "ami-11111111")


def test_in_a_further_region_the_command_has_a_name_and_a_cloud_of_its_own(engine: Engine) -> None:
    settings = Settings(region="eu-west-2", regions={"us-east-2": FurtherRegion(cloud=Endpoints(osc_profile="us"))})
    here, there = planned(0), planned(0)
    assert isinstance(there.image, PlannedImage)
    resource = "alpine-3.23.6-x86_64-r0@us-east-2"
    there = replace(there, image=replace(there.image, region="us-east-2", resource=resource))
    declared, told = run(engine, here, there, settings=settings)
    specs = {name: declared[name].inputs["stdin"] for name in ("alpine-3.23.6-x86_64-r0", resource)}
    clouds = {name: ImageSpec.from_json(text, "test").cloud for name, text in specs.items()}
    assert [cloud.region for cloud in clouds.values()] == ["eu-west-2", "us-east-2"]
    assert clouds[resource].osc_profile == "us"
    assert {name: json.loads(text)["resource"] for name, text in specs.items()} == {
        "alpine-3.23.6-x86_64-r0": None, resource: resource,
    }  # fmt: skip
    image = told["images"]["3.23.6"]["alpine-3.23.6-x86_64-r0"]
    assert image["region"] == told["latest"]["region"] == "eu-west-2"
    assert image["regions"].keys() == told["latest"]["regions"].keys() == {"eu-west-2", "us-east-2"}
    outputs = {kind: {BUILD.name: told[kind]} for kind in ("images", "latest")}
    assert Outputs.model_validate(outputs).model_dump(mode="json") == outputs, "all of it is promised"


def test_nothing_secret_is_among_a_commands_inputs(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OSC_SECRET_KEY", "a-secret-that-must-not-show")
    declared, _ = run(engine, planned(0))
    assert "a-secret-that-must-not-show" not in json.dumps([args.inputs for args in declared.values()])


@pytest.mark.parametrize("preview", [False, True])
def test_a_refusal_fails_a_preview_and_in_an_update_only_a_command_after_all_else(
    engine: Engine, monkeypatch: pytest.MonkeyPatch, preview: bool
) -> None:
    from components import refuse

    said: list[str] = []
    monkeypatch.setattr("pulumi.log.error", said.append)
    monkeypatch.setattr("pulumi.runtime.is_dry_run", lambda: preview)

    async def program() -> None:
        refuse(["one: waits", "two: waits"], after=[])

    as_test: Any = pulumi.runtime.test
    with pytest.raises(PlanError, match=r"^one: waits; two: waits; .* does all else$") if preview else nullcontext():
        as_test(program)()
    declared = {args.name: args for args in engine.declared}
    assert (said, [*declared]) == (([], []) if preview else (["one: waits; two: waits"], ["refused"]))
    assert preview or declared["refused"].inputs["create"].endswith("; exit 1")
