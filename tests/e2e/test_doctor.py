"""The doctor finds each broken thing by itself, names its cure, and still checks all that doesn't need it."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.utils import formatdate
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any

import pytest

from omi.outscale.credentials import Credentials
from omi.outscale.oos import ObjectStore
from omi.state.image import CloudAccess
from tests.e2e.held import STACK, HeldProject
from tests.omi.specs import make_access
from tests.omi.upstream.packages import Key, index_text, signed

pytestmark = pytest.mark.slow

KEY = Key()
INDEXES = tuple(f"/alpine/v3.23/{name}/x86_64/APKINDEX.tar.gz" for name in ("main", "community"))
PACKAGES = (
    "alpine-base", "dhcpcd", "doas", "e2fsprogs", "e2fsprogs-extra", "linux-virt", "openrc", "openssh", "syslinux",
    "tiny-cloud", "tiny-cloud-openrc",
)  # fmt: skip
"""Those that the profile asks for."""
HOME, OTHER = "eu-west-2", "us-east-2"
ALL = {"Effect": "Allow", "Action": ["*"], "Resource": ["*"]}
LOCK = {"pid": 7, "username": "ada", "hostname": "box", "timestamp": "2026-11-28T10:00:00Z"}
NOT_CHECKED = "not checked: see "


@dataclass
class Doctor:
    """A stack with nothing wrong, what is broken of it, and what the doctor says then."""

    held: HeldProject
    changed: dict[str, str]

    def ask(self, *arguments: str, stack: str = STACK) -> tuple[int, str]:
        command = ("python3", "-m", "omi", "doctor", "-s", stack, *arguments)
        done = self.held.project.run(*command, changed=self.changed, timeout=120)
        assert "Traceback" not in done.text
        for profile in self.held.sandbox.profiles.values():
            assert profile["secret_key"] not in done.text
        return done.code, done.text

    def findings(self, stack: str = STACK) -> dict[str, str]:
        """Level and text by check; those of a Region that isn't the home one under `check REGION`."""
        code, text = self.ask("--json", stack=stack)
        told = json.loads(text)
        assert (code == 0) == told["ok"]
        return {
            each["check"]
            + (f" {each['region']}" if each["region"] == OTHER else ""): f"{each['level']}: {each['text']}"
            for each in told["findings"]
        }

    def wrong(self, stack: str = STACK) -> dict[str, str]:
        """Those that aren't good."""
        return {check: text for check, text in self.findings(stack).items() if not text.startswith("good: ")}

    def configure(self, key: str, **values: Any) -> None:
        """Change parts of a setting."""
        self.held.project.configure(key, {**(self.held.project.configured(key) or {}), **values})

    def deny(self, *actions: str) -> None:
        """Take rights away from the key."""
        statements = [ALL, {"Effect": "Deny", "Action": list(actions), "Resource": ["*"]}]
        self.held.sandbox.control("PUT", "policies", {"main": {"Statement": statements}})

    def copy(self) -> None:
        """Have images copied to another Region."""
        osc_file = str(self.held.sandbox.settings.profiles_file)
        addresses = self.held.sandbox.settings.addresses
        cloud = {"api": addresses.api_endpoint, "osc_profile": "main-us", "osc_file": osc_file}
        self.held.project.configure("regions", {OTHER: {"images": "copy", "cloud": cloud}})


@pytest.fixture
def doctor(held: HeldProject) -> Iterator[Doctor]:
    keys = held.project.folder / "trusted"
    keys.mkdir(exist_ok=True)
    (keys / KEY.name).write_text(KEY.pem, encoding="ascii")
    held.project.configure("vm", {"trusted_keys": [str(keys)], "mirror": held.site.settings.mirror})
    held.write_profile("a")
    for path in INDEXES:
        held.site.pages[path] = page(KEY)
    stack = held.project.folder / "stacks" / f"Pulumi.{STACK}.yaml"
    before = stack.read_bytes()
    yield Doctor(held, {})
    stack.write_bytes(before)
    for path in ("faults", "quotas", "policies"):
        held.sandbox.control("PUT", path, [] if path == "faults" else {})


def page(key: Key) -> Any:
    from tests.omi.upstream.site import Page

    return Page(signed(index_text(dict.fromkeys(PACKAGES, "1.0-r0")), key))


def not_there() -> Any:
    from tests.omi.upstream.site import Page

    return Page(status=404)


def test_nothing_wrong(doctor: Doctor) -> None:
    before = doctor.held.sandbox.control("GET", "inventory")
    doctor.copy()
    found = doctor.findings()
    assert {text.partition(":")[0] for text in found.values()} == {"good"}
    account = doctor.held.sandbox.account_id()
    assert f"account {account}, by the key from" in found["credentials"]
    assert "1 to build" not in found["plan"], "one here and one copy there"
    assert found["plan"] == "good: 2 to build"
    assert "1 OMIs" in found["quotas"]
    assert "of copies" in found["object store"]
    assert doctor.held.sandbox.control("GET", "inventory") == before


def test_lines_for_people_and_the_exit_code(doctor: Doctor) -> None:
    code, text = doctor.ask()
    lines = text.splitlines()
    assert code == 0
    assert lines[-1] == f"{len(lines) - 1} good, 0 warning, 0 error"
    assert all(line.startswith("good     ") for line in lines[:-1])
    doctor.configure("vm", source_omi="Debian-9-*")
    code, text = doctor.ask()
    assert code == 1
    (line,) = [line for line in text.splitlines() if line.startswith("error ")]
    assert line.startswith(f"error    source OMI    {HOME}: source OMI: nothing named 'Debian-9-*' of Outscale")


@pytest.mark.parametrize(
    ("check", "key", "values", "says"),
    [
        ("source OMI", "vm", {"source_owner": "123456789012"}, "set vm.source_omi and vm.source_owner"),
        ("VM types", "vm", {"vm_type": "m9.huge"}, "error: vm.vm_type: 'm9.huge' is not a type of Region eu-west-2"),
        ("VM types", "vm", {"verify_vm_type": "tinav99.c1r1p2"}, "error: vm.verify_vm_type: 'tinav99.c1r1p2' is not"),
        ("VM types", "vm", {"vm_type": "tinav7.c3r5p1"}, "warning: vm.vm_type: tinav7.c3r5p1: not among the types"),
        ("Subregion", "vm", {"subregion": "eu-west-2z"}, "error: vm.subregion: eu-west-2z is not there (eu-west-2a"),
        ("Subnet", "vm", {"subnet": "subnet-00000000"}, "error: vm.subnet: subnet-00000000 is not there in Region"),
        ("ssh_source", "vm", {"ssh_source": "here"}, "'here' is not a CIDR"),
        ("ssh_source", "vm", {"ssh_source": "192.0.2.0/24"}, "doesn't hold this machine's address 127.0.0.1"),
        ("config", "retention", {"max_prunes": -1}, "retention.max_prunes: -1 is not allowed"),
        ("profile", "profile", None, "there is no profile 'none'"),
    ],
)  # fmt: skip
def test_a_setting_that_is_wrong(doctor: Doctor, check: str, key: str, values: Any, says: str) -> None:
    if values is None:
        doctor.held.project.configure(key, "none")
    else:
        doctor.configure(key, **values)
    wrong = doctor.wrong()
    assert says in wrong.pop(check)
    assert all(text.startswith(f"warning: {NOT_CHECKED}") for text in wrong.values()), wrong
    assert not {"tools", "backend", "lock"} & wrong.keys()


def test_a_wrong_key_hides_nothing_that_needs_none(doctor: Doctor) -> None:
    profiles = json.loads(doctor.held.sandbox.settings.profiles_file.read_text(encoding="utf-8"))
    profiles["main"]["secret_key"] = "not-the-secret"
    file = doctor.held.project.folder / "wrong.json"
    file.write_text(json.dumps(profiles), encoding="utf-8")
    doctor.configure("cloud", osc_file=str(file))
    code, text = doctor.ask()
    assert code == 1
    assert "not-the-secret" not in text
    wrong = doctor.wrong()
    assert "the access key" in wrong.pop("credentials")
    assert "give " in doctor.findings()["credentials"]
    refused = f"warning: {NOT_CHECKED}credentials"
    assert {check for check, text in wrong.items() if text == refused} >= {"rights", "source OMI", "VM types", "plan"}
    assert wrong.pop("quotas") == f"warning: {NOT_CHECKED}plan"


def test_a_key_that_is_missing(doctor: Doctor) -> None:
    doctor.configure("cloud", osc_profile="nobody")
    assert "has no profile 'nobody'" in doctor.wrong()["credentials"]


def test_a_clock_that_is_wrong(doctor: Doctor, monkeypatch: pytest.MonkeyPatch) -> None:
    def shift(seconds: float) -> None:
        monkeypatch.setattr(
            BaseHTTPRequestHandler, "date_time_string", lambda *_: formatdate(time.time() + seconds, usegmt=True)
        )

    shift(60)
    assert set(doctor.wrong()) == {"clock"}
    assert doctor.wrong()["clock"].startswith("warning: this machine's clock is ")
    shift(-300)
    wrong = doctor.wrong()
    assert set(wrong) == {"clock"}
    assert "ahead of the server's, so signatures are refused: set the clock" in wrong["clock"]
    shift(7200)
    refused = {"action": "*", "status": 401, "code": "1", "type": "AccessDenied", "times": -1}
    doctor.held.sandbox.control("POST", "faults", refused)
    wrong = doctor.wrong()
    assert "this machine's clock is 7" in wrong["credentials"]
    assert "behind the server's" in wrong["clock"]


def test_rights_that_are_taken_away(doctor: Doctor) -> None:
    doctor.deny("api:CreateVms", "api:DeleteKeypair")
    wrong = doctor.wrong()
    assert set(wrong) == {"rights"}
    assert (
        "may not call api:CreateVms, api:DeleteKeypair: allow it in the EIM policy (docs/eim-policy.json)"
        in (wrong["rights"])
    )
    doctor.deny("api:ReadAccounts")
    assert "may not call api:ReadAccounts" in doctor.wrong()["credentials"]


def test_a_key_that_expires_soon_or_may_not_ask(doctor: Doctor) -> None:
    oapi = doctor.held.sandbox.oapi("main")
    soon = (datetime.now(UTC) + timedelta(days=3, hours=1)).isoformat()
    oapi.call("UpdateAccessKey", AccessKeyId=oapi.profile["access_key"], ExpirationDate=soon)
    try:
        wrong = doctor.wrong()
        assert set(wrong) == {"access key"}
        assert wrong["access key"].startswith("warning: the access key expires in 3 days, on ")
        health = ("python3", "-m", "omi", "health", "-s", STACK)
        said = doctor.held.project.run(*health).text
        assert f"warning  access key    {HOME}: the access key expires in 3 days" in said
        doctor.deny("api:ReadAccessKeys")
        wrong = doctor.wrong()
        assert set(wrong) == {"access key", "rights"}
        assert wrong["access key"].startswith("warning: not checked: credentials: the access key from ")
        assert "may not call api:ReadAccessKeys" in doctor.held.project.run(*health).text
    finally:
        doctor.held.sandbox.control("PUT", "policies", {})
        oapi.call("UpdateAccessKey", AccessKeyId=oapi.profile["access_key"])


def test_quotas_that_are_too_small_for_the_plan(doctor: Doctor) -> None:
    doctor.held.sandbox.control("PUT", "quotas", {"volume_size_limit": 5})
    wrong = doctor.wrong()
    assert set(wrong) == {"quotas"}
    assert "volume_size_limit (" in wrong["quotas"]
    assert "are needed: the account's quota is used up: remove what is not needed or ask OUTSCALE" in wrong["quotas"]
    doctor.held.sandbox.control("PUT", "quotas", {"volume_size_limit": 0})
    assert doctor.wrong() == {}, "0 is not a limit"


def test_a_mirror_that_is_down_or_unsigned(doctor: Doctor) -> None:
    site = doctor.held.site
    site.pages[INDEXES[0]] = not_there()
    wrong = doctor.wrong()
    assert set(wrong) == {"mirror", "plan"}
    assert "so there is no such repository" in wrong["plan"]
    assert "main/x86_64/APKINDEX.tar.gz: the server has no such file: set upstream.mirror" in wrong["mirror"]
    site.pages[INDEXES[0]] = page(Key(KEY.name))
    assert f"the signature by {KEY.name} is wrong" in doctor.wrong()["mirror"]
    site.pages[INDEXES[0]] = page(Key("other.rsa.pub"))
    assert "is signed by other.rsa.pub, which is not trusted" in doctor.wrong()["mirror"]
    doctor.configure("upstream", mirror="http://127.0.0.1:9/alpine")
    code, text = doctor.ask()
    assert (code, "it can't be reached" in text) == (1, True), text
    doctor.configure("upstream", mirror="http://me:hush@127.0.0.1:9/alpine")
    code, text = doctor.ask()
    assert (code, "upstream.mirror: holds a user name or password" in text) == (1, True), text
    assert "hush" not in text


@pytest.mark.parametrize("broken", ["denied", "down", "page"])
def test_an_object_store_that_does_not_serve(doctor: Doctor, broken: str) -> None:
    doctor.copy()
    says = "error: "
    if broken == "denied":
        doctor.deny("s3:ListAllMyBuckets", "api:ReadImageExportTasks")
        says = "may not call s3:ListAllMyBuckets"
    elif broken == "down":
        doctor.configure("cloud", oos="http://127.0.0.1:9")
        says = "connection refused"
    else:
        fault = {"action": "ListAllMyBuckets", "face": "oos", "body": "<html></html>", "times": -1}
        doctor.held.sandbox.control("POST", "faults", fault)
    wrong = doctor.wrong()
    assert says in wrong.pop("object store")
    if broken == "denied":
        assert "may not call api:ReadImageExportTasks: allow it in the EIM policy" in wrong.pop("rights")
    assert wrong == {}


def test_a_backend_that_cannot_be_reached(doctor: Doctor) -> None:
    doctor.changed["PULUMI_BACKEND_URL"] = "file:///no/such/folder"
    wrong = doctor.wrong()
    assert "no such file or directory" in wrong.pop("backend")
    assert wrong == {
        "lock": f"warning: {NOT_CHECKED}backend",
        "plan": f"warning: {NOT_CHECKED}backend",
        "quotas": f"warning: {NOT_CHECKED}plan",
    }


def test_a_stack_that_is_locked_or_not_there_yet(doctor: Doctor) -> None:
    project = doctor.held.project
    lock = project.folder / "backend" / ".pulumi" / "locks" / "organization" / "alpine-omi" / STACK / "one.json"
    lock.parent.mkdir(parents=True, exist_ok=True)
    lock.write_text(json.dumps(LOCK))
    try:
        wrong = doctor.wrong()
        assert "the stack is currently locked" in project.pulumi("up", "--yes", "--skip-preview", "-s", STACK).text
    finally:
        lock.unlink()
    assert set(wrong) == {"lock"}
    assert "locked by ada on box (process 7, since 2026-11-28T10:00:00Z): wait" in wrong["lock"]
    assert f"`pulumi cancel -s {STACK}`" in wrong["lock"]
    file = project.folder / "stacks" / "Pulumi.new.yaml"
    file.write_bytes((file.parent / f"Pulumi.{STACK}.yaml").read_bytes())
    project_stack = file.parent / f"Pulumi.{STACK}.yaml"
    hidden = project_stack.rename(project_stack.with_suffix(".hidden"))  # both would write the same releases files
    try:
        wrong = doctor.wrong("new")
    finally:
        hidden.rename(project_stack)
        file.unlink()
    assert set(wrong) == {"backend"}
    assert wrong["backend"].startswith("warning: ")
    assert "`pulumi stack select --create new` makes it" in wrong["backend"]


def test_a_stack_whose_state_is_in_a_bucket(doctor: Doctor) -> None:
    sandbox = doctor.held.sandbox
    key, store = sandbox.profiles["main"], sandbox.settings.addresses.oos_endpoint
    authority = str(sandbox.settings.ca_file)
    access = CloudAccess(**{**make_access().model_dump(), "region": HOME, "oos": store, "ca_file": authority})
    objects = ObjectStore(access, Credentials(key["access_key"], key["secret_key"]))
    objects.call(objects.s3.create_bucket, Bucket="state")
    doctor.changed |= {
        "PULUMI_BACKEND_URL": f"s3://state/sub?endpoint={store}&s3ForcePathStyle=true&region={HOME}",
        "AWS_ACCESS_KEY_ID": key["access_key"],
        "AWS_SECRET_ACCESS_KEY": key["secret_key"],
        "AWS_CA_BUNDLE": authority,
    }
    assert f"`pulumi stack select --create {STACK}` makes it" in doctor.wrong()["backend"]
    done = doctor.held.project.run("pulumi", "stack", "init", STACK, changed=doctor.changed)
    assert done.code == 0, done.end
    assert doctor.wrong() == {}
    lock = f"sub/.pulumi/locks/organization/alpine-omi/{STACK}/one.json"
    objects.put("state", lock, json.dumps(LOCK).encode())
    wrong = doctor.wrong()
    assert set(wrong) == {"lock"}
    assert "locked by ada on box" in wrong["lock"]
    up = ("pulumi", "up", "--yes", "--skip-preview", "-s", STACK)
    assert "the stack is currently locked" in doctor.held.project.run(*up, changed=doctor.changed).text
    doctor.deny("s3:GetObject", "s3:PutObject")
    assert doctor.wrong()["backend"].startswith("error: ")
    doctor.deny("s3:ListBucket")
    assert doctor.wrong()["lock"].startswith("warning: not checked: ")


def test_a_stack_without_a_file(doctor: Doctor) -> None:
    wrong = doctor.wrong("nowhere")
    assert "Pulumi.nowhere.yaml does not exist" in wrong["config"]
    assert {text for check, text in wrong.items() if check in ("credentials", "mirror", "quotas")} == {
        f"warning: {NOT_CHECKED}config"
    }


def test_tools_that_are_missing(doctor: Doctor, tmp_path: Path) -> None:
    path = doctor.held.project.environment()["PATH"].split(os.pathsep)
    for tool in ("pulumi", "python3"):
        found = next(Path(folder) / tool for folder in path if (Path(folder) / tool).exists())
        (tmp_path / tool).write_text(f'#!/bin/sh\nexec {found} "$@"\n')
        (tmp_path / tool).chmod(0o755)
    doctor.changed["PATH"] = str(tmp_path)
    wrong = doctor.wrong()
    assert set(wrong) == {"tools"}
    for tool in ("packer", "ssh", "ssh-keygen"):
        assert f"{tool} is not on PATH: " in wrong["tools"]


def test_a_plugin_that_is_missing(doctor: Doctor, tmp_path: Path) -> None:
    doctor.changed["PACKER_PLUGIN_PATH"] = str(tmp_path)
    wrong = doctor.wrong()
    assert set(wrong) == {"tools"}
    assert "the OUTSCALE plugin is not installed" in wrong["tools"]


def test_a_cloud_that_does_not_answer_has_a_limit(doctor: Doctor) -> None:
    doctor.configure("cloud", limits={"connect": 1, "answer": 1})
    doctor.held.sandbox.control("POST", "faults", {"action": "ReadVmTypes", "hang": True, "times": -1})
    wrong = doctor.wrong()
    assert set(wrong) == {"rights", "VM types"}
    assert "no answer to ReadVmTypes within 1 s (cloud.limits.answer)" in wrong["VM types"]


def test_a_key_of_another_account_than_the_images(doctor: Doctor) -> None:
    doctor.held.hold("a")
    found = doctor.findings()
    assert "holds 1 images" in found["backend"]
    assert "nothing is to be built here" in found["quotas"]
    doctor.configure("cloud", osc_profile="second")
    wrong = doctor.wrong()
    assert "belongs to account" in wrong["credentials"]
    assert wrong["rights"] == f"warning: {NOT_CHECKED}credentials"
