"""An account of the old tool's images becomes the stack's own: checked, listed, the latest, and pruned; on stub VMs.

The tests of this module are one story and run in their order.
"""

from __future__ import annotations

import json
from typing import Any

import pytest
import yaml

from omi.build.guest_data import env_text, guest_values
from omi.build.origin import Origin
from omi.profile.load import load_profile
from tests.e2e.project import Project
from tests.omi.specs import make_spec
from tests.sandbox.client import empty_volume, register, snapshot

pytestmark = pytest.mark.slow

BUILD = "v3_23-x86_64"
OLD, LATEST = "alpine-ami-3.23.5-x86_64-r0", "alpine-ami-3.23.6-x86_64-r4"


@pytest.fixture(scope="module")
def project(stub_project: Project) -> Project:
    return stub_project


@pytest.fixture(scope="module")
def omis(project: Project) -> dict[str, str]:
    """The old images, as a stub VM can boot them, and the file that has them."""
    build = next(each for each in load_profile("alpine", project.folder / "profiles").builds if each.name == BUILD)
    oapi, made, old = project.oapi(), {}, dict[str, Any]()
    for name, release, revision in ((OLD, "3.23.5", "r0"), (LATEST, "3.23.6", "r4")):
        volume = empty_volume(oapi)
        text = env_text(guest_values(make_spec(name=name, release=release, build=build), Origin("unknown", {})))
        (project.home / "volumes" / f"{volume}.json").write_text(json.dumps({"settings": text}), encoding="utf-8")
        made[name] = register(oapi, name, snapshot(oapi, volume), Description=f"Alpine Linux {release}")
        oapi.call("DeleteVolume", VolumeId=volume)
        leaf = {
            "profile_build": BUILD, "release": release, "revision": revision, "arch": "x86_64", "version": "3.23",
            "build_time": 1630478686, "artifacts": {"eu-west-2": made[name], "us-west-2": "ami-elsewhere"},
        }  # fmt: skip
        old[release] = {BUILD: {name: leaf}}
    (project.folder / "old.yaml").write_text(yaml.safe_dump(old), encoding="utf-8")
    return made


def own_import(project: Project, *more: str) -> str:
    done = project.run("python3", "-m", "omi", "import", "-s", "e2e", "old.yaml", *more)
    assert done.code == 0, done.end
    return done.text


def image(project: Project, omi: str) -> dict[str, Any] | None:
    found = project.oapi().call("ReadImages", Filters={"ImageIds": [omi]})["Images"]
    return found[0] if found else None


def feed(project: Project) -> dict[str, Any]:
    path = project.folder / "releases" / "sandbox" / "alpine.json"
    told: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return told


def test_the_import_says_that_it_would_take_them_over(project: Project, omis: dict[str, str]) -> None:
    shown = own_import(project, "--own", "--yes")
    assert shown.count("take over: made by someone else") == 2
    entries = project.configured("adopt")
    assert [(entry["name"], entry["omi"], entry["own"]) for entry in entries] == [(n, o, True) for n, o in omis.items()]
    assert "There is nothing to adopt." in own_import(project, "--own")


def test_one_that_does_not_boot_stays_as_it_is(project: Project, omis: dict[str, str]) -> None:
    before = [image(project, omi) for omi in omis.values()]
    vm = project.configured("vm")
    project.configure("vm", {**vm, "verify_timeout": 5})
    project.control("faults", {"resource": "ssh", "state": "closed", "times": -1})
    done = project.up()
    project.control("faults", method="DELETE")
    project.configure("vm", vm)
    assert done.code != 0
    assert "failed its check: " in done.text
    assert "it is left as it is, and not taken over; `verify: false` in its entry" in done.text
    assert [image(project, omi) for omi in omis.values()] == before
    assert project.left() == {}


def test_they_are_the_stacks_own_once_they_have_booted_and_nothing_is_built(
    project: Project, omis: dict[str, str]
) -> None:
    reason = "becomes this stack's own, once alpine could log in to it"
    assert project.pulumi("preview", "-s", "e2e").text.count(reason) >= 2
    done = project.up()
    assert done.code == 0, done.end
    assert {name: step["action"] for name, step in project.plan().items()} == dict.fromkeys(omis, "keep")
    assert project.pulumi("preview", "--expect-no-changes", "-s", "e2e").code == 0
    assert {each["id"] for each in project.images()} == set(omis.values())
    assert project.left() == {}
    listed = {each["name"]: each for each in feed(project)["images"]}
    assert listed[LATEST]["verified"] == ["eu-west-2"]
    assert listed[LATEST]["description"] == "Alpine Linux 3.23.6"
    unknown = ("digest", "firmware", "bootstrap", "trimmed_bytes")
    assert {key: listed[LATEST][key] for key in unknown} == dict.fromkeys(unknown)
    assert feed(project)["latest"]["version"]["3.23"]["x86_64"]["eu-west-2"]["id"] == omis[LATEST]
    assert project.outputs()["latest"][BUILD]["made_by"] == "unknown"


def test_retention_prunes_them_with_their_snapshots(project: Project, omis: dict[str, str]) -> None:
    found = image(project, omis[OLD])
    assert found is not None
    gone = found["BlockDeviceMappings"][0]["Bsu"]["SnapshotId"]
    project.configure("retention", {"release": {"keep": 1}})
    assert project.plan()[OLD]["action"] == "prune"
    done = project.up()
    assert done.code == 0, done.end
    account = project.inventory()["main"]["resources"]
    assert [each["id"] for each in account["image"]] == [omis[LATEST]]
    assert gone not in [each["id"] for each in account["snapshot"]]
    assert [each["name"] for each in feed(project)["images"]] == [LATEST]
    warning = f"adopt: {omis[OLD]} ({OLD}) is not in the account: take it out of the list"
    assert warning in project.pulumi("preview", "-s", "e2e").text


def test_destroy_removes_the_rest(project: Project) -> None:
    assert project.pulumi("destroy", "--yes", "--skip-preview", "-s", "e2e").code == 0
    assert project.images() == []
