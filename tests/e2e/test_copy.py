"""Images copied to a second Region: the same bytes, nothing left in the object store, taken up if broken off.

Real pulumi on stub VMs; Packer builds in the home Region alone. The tests of this module are one story in their order.
"""

from __future__ import annotations

import json
import os
import signal
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from sandbox.eim import SERVICES
from tests.e2e.project import TOP, Project

pytestmark = pytest.mark.slow

BUILD = "v3_23-x86_64"
NAME = "alpine-3.23.6-x86_64-r0"
HOME, OTHER = "eu-west-2", "us-east-2"
LIMIT = 60.0
POLICIES = ("eim-policy.json", "eim-policy-copy.json")
"""What the home Region's key may do: both; the other Region's: the first."""


@pytest.fixture(scope="module")
def project(stub_project: Project) -> Project:
    """One whose keys may do what the policies allow."""
    home, there = (json.loads((TOP / "docs" / name).read_text(encoding="utf-8"))["Statement"] for name in POLICIES)
    policies = {"main": {"Statement": [*home, *there]}, "main-us": {"Statement": home}}
    stub_project.control("policies", policies, "PUT")
    return stub_project


def fault(project: Project, **what: Any) -> None:
    project.control("faults", [what] if what else [], "PUT")


def calls(project: Project, since: int = 0) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = project.control(f"calls?since={since}")
    return found


def last_call(project: Project) -> int:
    return max((call["number"] for call in calls(project)), default=0)


def await_call(project: Project, since: int, wanted: Callable[[dict[str, Any]], bool]) -> None:
    end = time.monotonic() + LIMIT
    while not any(wanted(call) for call in calls(project, since)):
        assert time.monotonic() < end, "the call did not come"
        time.sleep(0.05)


def disk_of(project: Project, account: str) -> bytes:
    """What the sandbox's own store holds of the disk of the account's image."""
    (snapshot,) = project.inventory()[account]["resources"]["snapshot"]
    return (project.home / "volumes" / f"{snapshot['id']}.json").read_bytes()


def test_what_goes_wrong_at_home_begins_nothing_elsewhere(project: Project) -> None:
    cloud = project.configured("cloud")
    there = {key: cloud[key] for key in ("api", "oos")} | {"osc_profile": "main-us"}
    project.configure("regions", {OTHER: {"cloud": there, "images": "copy"}})
    fault(project, action="CreateVms", status=400, region=HOME, times=-1)
    shown = " ".join(project.pulumi("preview", "-s", "e2e").text.split())
    assert f"+ {HOME} {BUILD} {NAME} build first image of {BUILD}" in shown
    assert f"+ {OTHER} {BUILD} {NAME} build revision r0 of {HOME} is copied to {OTHER}" in shown
    began = last_call(project)
    done = project.up()
    assert done.code != 0
    assert "exporting" not in done.text, "it was not even begun"
    assert project.left() == {}
    assert project.images("main") == project.images("main-us") == []
    assert not [call for call in calls(project, began) if call["face"] == "oos"]
    fault(project)


@pytest.mark.parametrize(
    ("broken", "says"),
    [
        ({"action": "CreateBucket", "face": "oos", "status": 409, "code": "BucketAlreadyExists", "times": -1},
         "BucketAlreadyExists"),
        ({"action": "*", "face": "oos", "status": 503, "times": -1}, "create_bucket at "),
        ({"resource": "export", "state": "failed"}, " is failed (a fault that was asked for)"),
        ({"action": "CreateImage", "face": "oapi", "region": OTHER, "status": 400, "code": "4088", "details": "late"},
         f"the import of {NAME} was refused: CreateImage at "),
        ({"resource": "snapshot", "state": "error", "region": OTHER}, " is failed instead of available"),
        ({"action": "ReadImageExportTasks", "status": 401, "code": "5", "type": "AccessDenied"},
         "may not call api:ReadImageExportTasks at "),
    ],
    ids=["bucket name taken", "object store down", "export failed", "manifest expired", "import half-way", "no right"],
)  # fmt: skip
def test_what_breaks_on_the_way_leaves_the_home_region_published_and_nothing_else(
    project: Project, broken: dict[str, Any], says: str
) -> None:
    fault(project, **broken)
    done = project.up()
    assert done.code != 0
    assert says in done.text
    assert "Traceback" not in done.text
    assert "X-Amz-Signature" not in done.text
    assert project.left() == {}
    (home,) = project.images("main")
    assert project.images("main-us") == []
    assert project.inventory()["main-us"]["resources"]["snapshot"] == []
    feed = json.loads((project.folder / "releases" / "sandbox" / "alpine.json").read_text(encoding="utf-8"))
    assert {region: pointer["id"] for region, pointer in feed["latest"]["overall"].items()} == {HOME: home["id"]}
    fault(project)


def test_a_used_up_quota_there_is_told(project: Project) -> None:
    full = {"status": 400, "code": "10000", "type": "TooManyResources (QuotaExceded)"}
    fault(project, action="CreateImage", profile="main-us", **full)
    done = project.up()
    fault(project)
    assert done.code != 0
    assert "the account's quota is used up" in done.text
    assert project.left() == {}
    assert project.images("main-us") == []


def test_an_export_that_never_ends_is_given_up_by_the_setting_that_is_named(project: Project) -> None:
    cloud = project.configured("cloud")
    project.configure("cloud", {**cloud, "limits": {**cloud["limits"], "transfer": 3}})
    fault(project, resource="export", state="pending")
    done = project.up()
    project.configure("cloud", cloud)
    fault(project)
    assert done.code != 0
    assert "waited 3 s for ami-" in done.text
    assert "(cloud.limits.transfer)" in done.text
    assert project.left() == {}


def test_killed_in_the_middle_and_carried_over_by_the_next_update(project: Project) -> None:
    fault(project, resource="export", state="pending")
    began = last_call(project)
    update = project.begin(
        "pulumi", "--color", "never", "--non-interactive", "up", "--yes", "--skip-preview", "-s", "e2e"
    )
    await_call(project, began, lambda call: call["action"] == "ReadImageExportTasks")
    (bucket,) = project.control("buckets")["main"]
    # all of it at once, as when the machine goes down: nobody is left to clean up
    victims = [
        pid
        for pid in (int(each.name) for each in Path("/proc").iterdir() if each.name.isdecimal())
        if works_in(pid, project.folder)
    ]
    for pid in victims:
        with suppress(ProcessLookupError):  # one may end because of the other's end
            os.kill(pid, signal.SIGKILL)
    update.wait(LIMIT)
    assert list(project.control("buckets")["main"]) == [bucket]
    told = project.run("python3", "-m", "omi", "sweep", "-s", "e2e").text
    assert f"bucket  {bucket}" in told
    fault(project)
    assert project.pulumi("cancel", "--yes", "-s", "e2e").code == 0
    began = last_call(project)
    done = project.up()
    assert done.code == 0, done.end
    assert f"deleted bucket {bucket}" in done.text
    assert project.left() == {}
    made = [call for call in calls(project, began) if call["action"] in ("CreateVms", "CreateSnapshot", "CreateImage")]
    verified = ("main-us", "CreateVms")
    assert [(call["profile"], call["action"]) for call in made] == [("main-us", "CreateImage"), verified]


def works_in(pid: int, folder: Path) -> bool:
    try:
        at_home = Path(f"/proc/{pid}/cwd").readlink().is_relative_to(folder)
        return at_home and b"sandbox" not in Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return False


def test_the_bytes_are_the_same_and_told_by_their_digest(project: Project) -> None:
    (home,), (there,) = project.images("main"), project.images("main-us")
    assert disk_of(project, "main") == disk_of(project, "main-us")
    told = project.outputs()["latest"][BUILD]["regions"]
    assert {region: each["omi"] for region, each in told.items()} == {HOME: home["id"], OTHER: there["id"]}
    digests = {each["disk"] for each in told.values()}
    assert len(digests) == 1
    assert digests == {image["tags"]["disk"] for image in (home, there)}
    assert there["tags"]["copied-from"] == f"{HOME}:{home['id']}"
    deployment = json.loads(project.pulumi("stack", "export", "-s", "e2e").text)["deployment"]
    records = {
        each["urn"].rpartition("::")[2]: json.loads(each["outputs"]["stdout"])
        for each in deployment["resources"]
        if each["type"] == "command:local:Command"
    }
    assert records[f"{NAME}@{OTHER}"]["verified"] is True
    assert records[f"{NAME}@{OTHER}"]["disk"] in digests
    assert f"{HOME}:{home['id']}" == records[f"{NAME}@{OTHER}"]["copied_from"]


def test_nothing_changes_after_that_and_no_key_or_url_is_in_state_or_logs(project: Project) -> None:
    assert json.loads(project.run("python3", "-m", "omi", "plan", "-s", "e2e", "--json").text)["changes"] is False
    profiles = json.loads((project.home / "osc.json").read_text(encoding="utf-8"))
    secrets = [profile["secret_key"].encode() for profile in profiles.values()] + [b"X-Amz-Signature"]
    for top in ("build", "backend", "releases", "e2e.log"):
        for path in [project.folder / top, *(project.folder / top).rglob("*")]:
            if path.is_file():
                content = path.read_bytes()
                assert not [secret for secret in secrets if secret in content], path


def test_the_key_at_home_needs_all_that_its_second_policy_allows_and_the_other_none_of_it(project: Project) -> None:
    (statement,) = json.loads((TOP / "docs" / POLICIES[1]).read_text(encoding="utf-8"))["Statement"]
    made = {(call["profile"], f"{SERVICES[call['face']]}:{call['action']}") for call in calls(project)}
    assert {action for profile, action in made if profile == "main"} >= set(statement["Action"])
    assert {action for profile, action in made if profile == "main-us"} & set(statement["Action"]) == set()


def test_a_new_revision_at_home_is_carried_over_as_the_same_revision(project: Project) -> None:
    project.edit_profile(BUILD, {"version": "3.23", "arch": "x86_64", "user": "admin"})
    plan = project.run("python3", "-m", "omi", "plan", "-s", "e2e").text
    assert f"revision r1 of {HOME} is copied to {OTHER}" in " ".join(plan.split())
    done = project.up()
    assert done.code == 0, done.end
    newest = {account: sorted(each["name"] for each in project.images(account))[-1] for account in ("main", "main-us")}
    assert set(newest.values()) == {"alpine-3.23.6-x86_64-r1"}
    assert project.left() == {}
    assert project.pulumi("destroy", "--yes", "--skip-preview", "-s", "e2e").code == 0
    assert project.images("main") == project.images("main-us") == []
