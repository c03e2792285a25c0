from __future__ import annotations

import json
from typing import Any

import pytest

from omi.profile.model import Access
from omi.state.ledger import COMMAND_TYPE, Ledger, LedgerImage, read_ledger, resources_of_export
from omi.support.errors import StateError
from tests.omi.plan.make import build, held

URN = "urn:pulumi:test::alpine-omi::alpine:omi:ProfileBuild$command:local:Command::{}"
IMAGES = [held(build(), release, revision) for release, revision in (("3.9.1", 0), ("3.10.0", 9), ("3.10.0", 10))]


def stored(image: LedgerImage, **changes: Any) -> dict[str, Any]:
    command = image.command
    outputs = {
        "create": command.create,
        "update": command.update,
        "delete": command.delete,
        "stdin": command.stdin,
        "stdout": image.record.to_json(),
        "stderr": "",
    }
    return {"type": COMMAND_TYPE, "outputs": outputs | changes}


def state(*images: LedgerImage, **changes: Any) -> dict[str, dict[str, Any]]:
    return {URN.format(image.name): stored(image, **changes) for image in images}


def test_fresh_stack_holds_nothing() -> None:
    assert read_ledger({}) == Ledger()
    assert read_ledger(resources_of_export({})) == Ledger()


def test_images_come_back_as_stored_and_in_numeric_order() -> None:
    ledger = read_ledger(state(*reversed(IMAGES)))
    assert list(ledger.images) == IMAGES
    assert [image.command for image in ledger.images] == [image.command for image in IMAGES]


def test_standard_input_is_kept_to_the_byte() -> None:
    text = json.dumps(json.loads(IMAGES[0].command.stdin), indent=3)
    (image,) = read_ledger(state(IMAGES[0], stdin=text)).images
    assert image.command.stdin == text
    assert image.published(image.spec.access).command.stdin == text


def test_other_access_is_another_standard_input_that_reads_back() -> None:
    image = IMAGES[0].published(Access(public=True))
    (again,) = read_ledger(state(image)).images
    assert again.spec.access == Access(public=True)
    assert again.record == IMAGES[0].record


def test_touched_image_reads_the_same() -> None:
    once = IMAGES[0].touched()
    assert once.command.stdin != IMAGES[0].command.stdin
    assert read_ledger(state(once)).images[0].spec == IMAGES[0].spec
    assert once.touched().command == IMAGES[0].command


@pytest.mark.parametrize("stdin", [None, "", "hello", "[1]", '{"format":1}', "{"])
def test_other_commands_are_passed_over(stdin: str | None) -> None:
    assert read_ledger(state(IMAGES[0], stdin=stdin)) == Ledger()


def test_other_resources_are_passed_over() -> None:
    resources = state(IMAGES[0])
    for resource in resources.values():
        resource["type"] = "alpine:omi:ProfileBuild"
    stack: dict[str, Any] = {"urn:pulumi:test::alpine-omi::pulumi:pulumi:Stack::s": {"type": "pulumi:pulumi:Stack"}}
    assert read_ledger(resources | stack) == Ledger()


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        (
            {"stdin": IMAGES[0].command.stdin.replace('"format":1', '"format":99')},
            "standard input: cannot be read: format",
        ),
        ({"stdout": ""}, "standard output: cannot be read"),
        ({"stdout": None}, "its stdout is missing"),
        ({"stdout": '{"format":1}'}, "standard output: cannot be read"),
        ({"stdin": IMAGES[0].command.stdin.replace('"offered":[],', "")}, "input: cannot be read: offered"),
        ({"stdout": IMAGES[0].record.to_json().replace('"claim":null,', "")}, "output: cannot be read: claim"),
        ({"delete": None}, "its delete is missing"),
        ({"stdin": {"4dabf18193072939515e22adb298388d": "1b47061264138c4ac30d75fd1eb44270"}}, "stored as a secret"),
    ],
)
def test_unreadable_image_is_an_error_with_a_cure(changes: dict[str, Any], told: str) -> None:
    with pytest.raises(StateError) as caught:
        read_ledger(state(IMAGES[0], **changes))
    text = str(caught.value)
    assert told in text
    assert f"resource {IMAGES[0].name}" in text
    assert "pulumi state delete 'urn:" in text
    assert "\n" not in text


def test_export_leaves_out_what_only_waits_for_its_deletion() -> None:
    resources = [{"urn": urn} | resource for urn, resource in state(*IMAGES).items()]
    resources[0]["delete"] = True
    assert list(read_ledger(resources_of_export({"resources": resources})).images) == IMAGES[1:]


def test_one_image_in_two_resources_is_an_error() -> None:
    resources = state(IMAGES[0]) | {URN.format("other"): stored(IMAGES[0])}
    with pytest.raises(StateError, match=f"two resources for the image {IMAGES[0].name}"):
        read_ledger(resources)
