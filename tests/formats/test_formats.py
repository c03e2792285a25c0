"""What released versions wrote is read as it was meant; what others read of the program only grows."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from omi.plan.held import Held, read_state
from omi.publish.store import read_all
from omi.state.ledger import StoredCommand, resources_of_export
from omi.state.owner import Owner
from tests.e2e.held import STACK
from tests.formats.record import SCHEMAS, TOP, VERSIONS, contents
from tests.reliability.adversary import try_case
from tests.reliability.cases import Case
from tests.reliability.ring import Ring, ring

RELEASED = sorted(path for path in VERSIONS.iterdir() if (path / "images.json").is_file())
_every_version = pytest.mark.parametrize("version", RELEASED, ids=lambda path: path.name)


def _checkpoint(version: Path) -> dict[str, Any]:
    path = version / "backend" / ".pulumi" / "stacks" / "alpine-omi" / f"{STACK}.json"
    found: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))["checkpoint"]["latest"]
    return found


def _held(version: Path) -> Held:
    return read_state(resources_of_export(_checkpoint(version)), "alpine-omi", STACK)


def _keeps(old: object, new: object) -> bool:
    """Whether a value is still all that it was; maps may have more entries."""
    if isinstance(old, dict) and isinstance(new, dict):
        return all(key in new and _keeps(value, new[key]) for key, value in old.items())
    return old == new


@_every_version
def test_a_state_is_read(version: Path) -> None:
    held = _held(version)
    commands = [each for each in _checkpoint(version)["resources"] if each["type"] == "command:local:Command"]

    assert isinstance(held.owner, Owner)
    assert not held.is_fresh
    assert len(held.ledger.images) == len(commands) == 4
    by_omi = {image.record.omi: image for image in held.ledger.images}
    for command in commands:
        spec, record = json.loads(command["inputs"]["stdin"]), json.loads(command["outputs"]["stdout"])
        image = by_omi[record["omi"]]
        assert _keeps(spec, json.loads(image.spec.to_json()))
        assert _keeps(record, json.loads(image.record.to_json()))


@_every_version
def test_a_state_has_commands_that_still_run(version: Path) -> None:
    for image in _held(version).ledger.images:
        today = StoredCommand.of("adopt", image.spec)
        assert (image.command.update, image.command.delete) == (today.update, today.delete)


@_every_version
def test_releases_files_are_read(version: Path) -> None:
    published, unread = read_all(version / "releases" / "sandbox")
    assert unread == []
    found = {omi for images in published.values() for image in images for omi in image.ids.values()}
    assert found == {image["ImageId"] for image in json.loads((version / "images.json").read_text(encoding="utf-8"))}


@_every_version
def test_a_signed_folder_is_verified(version: Path, tmp_path: Path) -> None:
    trusted = shutil.copy(version / "signed" / "allowed_signers", tmp_path)
    command = [TOP / "examples" / "verify" / "verify.sh", trusted, version / "signed"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr


@_every_version
def test_the_content_of_a_profile_is_the_same(version: Path) -> None:
    """Otherwise an upgrade would rebuild every image."""
    recorded = json.loads((version / "content.json").read_text(encoding="utf-8"))
    assert json.loads(json.dumps(contents(version / "profiles"))) == recorded


@_every_version
@pytest.mark.parametrize("name", SCHEMAS)
def test_what_others_read_only_grows(version: Path, name: str) -> None:
    old, new = (json.loads(path.read_text(encoding="utf-8")) for path in (version / Path(name).name, TOP / name))
    assert list(_broken(old, new, "")) == []


def _broken(old: Any, new: Any, where: str) -> Iterator[str]:
    """Promises of an older JSON schema that a newer one doesn't make."""
    if isinstance(old, dict) and isinstance(new, dict):
        for key, value in old.items():
            at = f"{where}/{key}"
            if key in ("description", "title", "examples") and not where.endswith("/properties"):
                continue
            if key not in new:
                yield f"{at} is gone"
            elif key in ("required", "enum", "anyOf"):
                yield from (f"{at}: {each} is gone" for each in value if each not in new[key])
            else:
                yield from _broken(value, new[key], at)
    elif old != new:
        yield f"{where}: {old} is {new} now"


def test_a_broken_promise_is_noticed() -> None:
    old = {"properties": {"omi": {"type": "string"}, "size": {"type": "integer"}}, "required": ["omi"]}
    new = {"properties": {"omi": {"type": "null"}, "more": {"type": "string"}}, "required": ["more"]}
    assert list(_broken(old, new, "")) == [
        "/properties/omi/type: string is null now",
        "/properties/size is gone",
        "/required: omi is gone",
    ]


@pytest.fixture(scope="module", params=RELEASED, ids=lambda path: path.name)
def stack(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ring]:
    """A version's stack with its images, in accounts of today's local cloud."""
    with ring(tmp_path_factory.mktemp("ring"), 4, recorded=request.param) as made:
        yield made


@pytest.mark.slow
@pytest.mark.parametrize("person", ["preview", "up", "destroy"])
def test_a_stack_goes_on(stack: Ring, person: str) -> None:
    """An update builds the next revisions, since the guest's files have changed."""
    with stack.place(f"w{person[0]}") as place:
        found = try_case(place, Case(person))
    assert found.good, f"{found.lost} {found.left} {found.harmed} {found.wrong}\n{found.said[-3000:]}"


@pytest.mark.slow
def test_a_lost_state_is_recovered(stack: Ring) -> None:
    with stack.place("r") as place:
        found = try_case(place, Case("recover --yes, up", "empty backend"))
    assert found.good, f"{found.lost} {found.left} {found.harmed} {found.wrong}\n{found.said[-3000:]}"
