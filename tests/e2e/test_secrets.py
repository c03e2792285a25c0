"""A whole way leaves its keys nowhere: real pulumi and Packer on stub VMs, with marked keys wherever keys are found.

The account's key may call what docs/eim-policy.json allows, and nothing else.

The tests of this module are one story and run in their order.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.project import TOP, Project, Result
from tests.e2e.watched import Sought, Watcher, forms, private_keys
from tests.openapi import check_request
from tests.sandbox.ports import free_base_port

pytestmark = pytest.mark.slow

POLICY = TOP / "docs" / "eim-policy.json"
BUILD, OTHER = "v3_23-x86_64", "other"
REAL = ("AKIDMARKEDREAL000000", "rE/+Marked=Secret&Of The%Account~0123456")
"""Access key and secret key of the sandbox's account."""
DECOYS = {
    "osc variables": ("AKIDMARKEDOSCENV0000", "eN/+Marked=Secret&Of The%OscEnv~01234567"),
    "aws variables": ("AKIDMARKEDAWSENV0000", "aE/+Marked=Secret&Of The%AwsEnv~01234567"),
    "osc file": ("AKIDMARKEDOSCFILE000", "oF/+Marked=Secret&Of The%OscFile~0123456"),
    "aws file": ("AKIDMARKEDAWSFILE000", "aF/+Marked=Secret&Of The%AwsFile~0123456"),
}
"""Keys of nobody, in the sources that are not asked."""
AWS_DECOYS = dict(zip(("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"), DECOYS["aws variables"], strict=True))
SOURCES = {
    "osc variables": {**AWS_DECOYS, "OSC_ACCESS_KEY": REAL[0], "OSC_SECRET_KEY": REAL[1], "OSC_PROFILE": "default"},
    "osc file": {**AWS_DECOYS, "OSC_PROFILE": "real"},
    "aws variables": {"AWS_ACCESS_KEY_ID": REAL[0], "AWS_SECRET_ACCESS_KEY": REAL[1]},
    "aws file": {"AWS_PROFILE": "real"},
}
"""Variables with which a command finds the real key there, and other keys in the other places."""
HOLDERS = {"pulumi", "pulumi-language-python", "pulumi-resource-command", "python", "sh"}
"""Programs that may have a key in their environment: Pulumi's, the project's own, and the shell of a command."""
STACKS = AWS_DECOYS
"""Variables of a command that takes the key from the file that the stack's config names."""


@dataclass
class Marked:
    """A project and a home with marked keys, below one folder that is searched."""

    folder: Path
    project: Project
    sought: Sought

    @property
    def surroundings(self) -> dict[str, str]:
        return {"HOME": str(self.folder / "home"), "TMPDIR": str(self.folder / "tmp")}

    def pulumi(self, variables: dict[str, str], *arguments: str) -> Result:
        command = ("pulumi", "--color", "never", "--non-interactive", *arguments, "-s", "e2e")
        return self.project.run(*command, changed={**self.surroundings, **variables})

    def leaks(self) -> list[Path]:
        """Files that hold a secret, but for those that are there to hold it."""
        home = self.folder / "home"
        spare = {self.project.home / "osc.json", home / ".aws" / "credentials", home / ".osc" / "config.json"}
        assert all(self.sought.is_in(path.read_bytes()) for path in spare)
        return list(self.sought.files(self.folder, spare))


@pytest.fixture(scope="module")
def marked() -> Iterator[Marked]:
    with tempfile.TemporaryDirectory(prefix="omi-e2e-") as name:
        folder = Path(name)
        project = Project(folder / "project", folder / "cloud", free_base_port(), stubs=True)
        (folder / "tmp").mkdir()
        write_keys(folder)
        try:
            started = project.start_cloud()
            assert started.code == 0, started.end
            project.edit_profile("v3_22-x86_64", None)
            project.control("policies", {"main": json.loads(POLICY.read_text(encoding="utf-8"))}, "PUT")
            assert project.pulumi("stack", "init", "e2e").code == 0
            yield Marked(folder, project, Sought([REAL[1], *(secret for _, secret in DECOYS.values())]))
        finally:
            project.sandbox("stop")
            print(project.log_tail())


def write_keys(folder: Path) -> None:
    """The sandbox's account gets the real key; the home has it as profile `real`, and decoys as `default`."""

    def osc(key: tuple[str, str]) -> dict[str, str]:
        return {"access_key": key[0], "secret_key": key[1], "region": "eu-west-2"}

    files = {
        "cloud/osc.json": json.dumps({"main": osc(REAL)}),
        "home/.osc/config.json": json.dumps({"default": osc(DECOYS["osc file"]), "real": osc(REAL)}),
        "home/.aws/credentials": "".join(
            f"[{profile}]\naws_access_key_id = {key}\naws_secret_access_key = {secret}\n"
            for profile, (key, secret) in (("default", DECOYS["aws file"]), ("real", REAL))
        ),
    }
    for name, text in files.items():
        (folder / name).parent.mkdir(mode=0o700, parents=True)
        (folder / name).write_text(text, encoding="utf-8")


def put_faults(project: Project, *faults: dict[str, Any]) -> None:
    project.control("faults", [*faults], "PUT")


def good(done: Result) -> str:
    assert done.code == 0, done.end
    return done.text


def go(marked: Marked) -> None:
    """Preview, a build, a failing one, it again with a prune, destroy: the key from another source in most."""
    project, stacks_cloud = marked.project, marked.project.configured("cloud")
    project.configure("cloud", {key: value for key, value in stacks_cloud.items() if not key.startswith("osc_")})
    assert BUILD in good(marked.pulumi(SOURCES["osc variables"], "preview"))
    good(marked.pulumi(SOURCES["osc file"], "up", "--yes", "--skip-preview"))

    project.edit_profile(OTHER, {"version": "3.23", "arch": "x86_64", "prefix": "other-"})
    put_faults(project, {"action": "CreateImage", "status": 400, "times": -1})
    failed = marked.pulumi(SOURCES["aws variables"], "up", "--yes", "--skip-preview")
    assert failed.code != 0
    assert "see build/" in failed.text
    put_faults(project)

    project.edit_profile(BUILD, None)
    project.configure("retention", {"allow_mass_prune": ["all"]})
    (image,) = project.inventory()["main"]["resources"]["image"]
    good(marked.pulumi(SOURCES["aws file"], "up", "--yes", "--skip-preview"))
    (other,) = project.inventory()["main"]["resources"]["image"]
    assert image["id"] != other["id"]
    good(marked.pulumi(SOURCES["osc variables"], "destroy", "--yes", "--skip-preview"))
    assert project.inventory()["main"]["resources"]["image"] == []
    project.configure("cloud", stacks_cloud)
    assert OTHER in good(marked.pulumi(STACKS, "preview"))


def test_a_whole_way_leaves_no_secret_anywhere(marked: Marked) -> None:
    project = marked.project.folder
    with Watcher(marked.sought, project) as watcher:
        go(marked)
    assert {"pulumi", "packer", "ssh"} <= watcher.programs, watcher.programs
    assert watcher.leaks == set()
    assert {holder.partition("3")[0] for holder in watcher.holders} <= HOLDERS
    assert {name.rpartition("-")[2] for name in watcher.keys} == {"build", "verify"}
    assert {mode for mode, _ in watcher.keys.values()} == {0o600}
    assert private_keys(project) == []
    assert marked.leaks() == []
    # the lines with the private half: those before have the format's head and the public one
    halves = Sought(line for _, text in watcher.keys.values() for line in text.splitlines()[4:-2])
    assert list(halves.files(marked.folder, set())) == []


def test_it_was_held_to_the_policy_and_refused_nothing(marked: Marked) -> None:
    assert list(marked.project.control("policies")) == ["main"]
    calls = [call for call in marked.project.control("calls") if call["profile"] == "main"]
    assert {"CreateVms", "DeleteImage", "DeleteSnapshot"} <= {call["action"] for call in calls}
    assert [call for call in calls if call["status"] in (401, 403)] == []


def test_every_request_of_the_program_and_of_packer_is_one_of_outscales_specification(marked: Marked) -> None:
    calls = [call for call in marked.project.control("calls") if call["face"] == "oapi"]
    assert {"CreateKeypair", "CreateSnapshot"} <= {call["action"] for call in calls}
    for call in calls:
        check_request(call["action"], call["request"])


def test_what_was_searched_was_there(marked: Marked) -> None:
    project = marked.project.folder
    logs = [path for path in (project / "build").rglob("*.log") if path.stat().st_size]
    assert {path.name for path in logs} >= {"packer.log", "build.log"}, logs
    assert [*(project / "backend").rglob("*.history.json")]
    assert [*(project / "releases").rglob("*.yaml")]
    assert "see build/" in (project / "e2e.log").read_text(encoding="utf-8")


def test_a_private_key_goes_though_its_update_is_killed(marked: Marked) -> None:
    project = marked.project
    running = project.begin("pulumi", "up", "--yes", "--skip-preview", "-s", "e2e")
    end = time.monotonic() + 120
    while not private_keys(project.folder) and time.monotonic() < end and running.poll() is None:
        time.sleep(0.05)
    assert private_keys(project.folder), project.log_tail()
    os.killpg(running.pid, signal.SIGKILL)
    running.wait(30)
    while private_keys(project.folder) and time.monotonic() < end:
        time.sleep(0.1)
    assert private_keys(project.folder) == []
    assert marked.leaks() == []


@pytest.mark.parametrize("form", sorted(forms(REAL[1])))
def test_the_search_finds_a_planted_secret(marked: Marked, form: bytes) -> None:
    log = next((marked.project.folder / "build").rglob("build.log"))
    log.write_bytes(b"before " + form + b" after\n")
    assert marked.leaks() == [log]
    log.write_bytes(b"")
    assert marked.leaks() == []


def test_the_watcher_finds_a_secret_among_arguments(marked: Marked) -> None:
    with Watcher(marked.sought, marked.project.folder) as watcher:
        planted = subprocess.Popen(["sh", "-c", "read -r _", "planted", f"--key={REAL[1]}"], stdin=subprocess.PIPE)
        end = time.monotonic() + 30
        while not watcher.leaks and time.monotonic() < end:
            time.sleep(0.05)
        planted.communicate(b"\n")
    assert watcher.leaks == {f"sh -c read -r _ planted --key={REAL[1]} "}
