"""Pulumi programs to measure on their own sandbox: the project, its state filled with images, and plain programs."""

from __future__ import annotations

import json
import resource
import subprocess
import time
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, NamedTuple

import yaml

from omi.state.identity import Identity
from omi.state.image import ImageSpec
from sandbox.config import Addresses
from tests.e2e.project import Project
from tests.omi.specs import make_record
from tests.sandbox.client import Oapi, empty_volume, snapshot, wait_for
from tests.sandbox.ports import free_base_port

LIMIT = 900
"""Seconds that one command may take."""
COMMAND = "command:local:Command"

EMPTY = "import pulumi\n"
BARE = """\
import json
import pathlib

from pulumi_command import local

for name, words in json.loads(pathlib.Path("commands.json").read_text()).items():
    local.Command(name, **words)
"""
STUB = """\
#!/bin/sh
# Stands in for a build: reads what it is to build, whose first name is the image's, and prints its record.
name=$(sed 's/"name": *"/\\n/' | sed -n '2s/".*//p')
sed "s/NAME/$name/" record.json
"""


def write_stub(folder: Path) -> None:
    """The stub, beside the program whose commands run it."""
    (folder / "stub.sh").write_text(STUB, encoding="utf-8")
    (folder / "record.json").write_text(make_record(name="NAME").to_json() + "\n", encoding="utf-8")


class RunSeconds(NamedTuple):
    """The time of one run."""

    wall: float
    cpu: float
    """Seconds of all processes under it."""


@dataclass(frozen=True)
class Command:
    """A command resource: its inputs, its standard output, and the build below which it stands, if any."""

    name: str
    words: Mapping[str, str]
    stdout: str = ""
    build: str | None = None


class Side:
    """One Pulumi program in a folder, with the environment to run it in."""

    project = "bare"

    def __init__(self, folder: Path, environment: Mapping[str, str]) -> None:
        self.folder = folder
        self.environment = environment

    def pulumi(self, *arguments: str) -> str:
        """Standard output of a pulumi command; SystemExit with all that it printed if it fails."""
        command = ["pulumi", "--color", "never", "--non-interactive", *arguments]
        done = subprocess.run(
            command, cwd=self.folder, env=self.environment, capture_output=True, text=True, timeout=LIMIT, check=False
        )
        if done.returncode:
            raise SystemExit(f"{' '.join(command)} failed:\n{done.stdout[-4000:]}\n{done.stderr[-4000:]}")
        return done.stdout

    def preview(self, stack: str) -> RunSeconds:
        """Measure a preview that finds nothing to do."""
        return self._measured("preview", "--stack", stack, "--expect-no-changes")

    def up(self, stack: str, *, changes: bool = False) -> RunSeconds:
        """Measure an update; one without `changes` must find nothing to do."""
        expected = () if changes else ("--expect-no-changes",)
        return self._measured("up", "--yes", "--skip-preview", "--stack", stack, *expected)

    def init(self, stack: str) -> None:
        """Make the stack, with nothing in its state."""
        self.pulumi("stack", "init", stack)

    def forget(self, stack: str) -> None:
        """Empty the stack's state."""
        self._import(stack, [])

    def fill(self, stack: str, commands: list[Command]) -> None:
        """Give the stack a state that holds these commands, as if an earlier update had run them."""
        urn = f"urn:pulumi:{stack}::{self.project}"
        root = f"{urn}::pulumi:pulumi:Stack::{self.project}-{stack}"
        provider, ident = f"{urn}::pulumi:providers:command::default_1_2_1", "5b9c2f9e-6d0e-4c39-9a4b-1f0c6f1f7c55"
        version = {"version": "1.2.1"}
        builds = sorted({command.build for command in commands if command.build is not None})
        resources: list[dict[str, Any]] = [
            {"urn": root, "custom": False, "type": "pulumi:pulumi:Stack"},
            {"urn": provider, "custom": True, "id": ident, "type": "pulumi:providers:command"}
            | {"inputs": version, "outputs": version},
        ]
        resources += [
            {"urn": f"{urn}::alpine:omi:ProfileBuild::{build}", "custom": False, "type": "alpine:omi:ProfileBuild"}
            | {"parent": root}
            for build in builds
        ]
        for number, command in enumerate(commands):
            below = "" if command.build is None else "alpine:omi:ProfileBuild$"
            parent = root if command.build is None else f"{urn}::alpine:omi:ProfileBuild::{command.build}"
            own = {"urn": f"{urn}::{below}{COMMAND}::{command.name}", "custom": True, "id": f"c{number:07}"}
            outputs = {**command.words, "stdout": command.stdout, "stderr": ""}
            resources.append(
                {**own, "type": COMMAND, "parent": parent, "provider": f"{provider}::{ident}"}
                | {"inputs": dict(command.words), "outputs": outputs}
            )
        self._import(stack, resources)

    def _import(self, stack: str, resources: list[dict[str, Any]]) -> None:
        exported = json.loads(self.pulumi("stack", "export", "--stack", stack))
        exported["deployment"]["resources"] = resources
        file = self.folder / "state.json"
        file.write_text(json.dumps(exported), encoding="utf-8")
        self.pulumi("stack", "import", "--stack", stack, "--file", str(file))

    def _measured(self, *arguments: str) -> RunSeconds:
        cpu, begun = _cpu(), time.monotonic()
        self.pulumi(*arguments)
        return RunSeconds(time.monotonic() - begun, _cpu() - cpu)


def _cpu() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


class PlainProgram(Side):
    """A program of a few lines beside the project, with a backend of its own and the project's environment."""

    def __init__(self, folder: Path, ours: ImageProgram, program: str) -> None:
        (folder / "backend").mkdir(parents=True)
        super().__init__(folder, {**ours.environment, "PULUMI_BACKEND_URL": (folder / "backend").as_uri()})
        runtime = {"name": "python", "options": {"virtualenv": str(ours.folder / ".venv")}}
        project = json.dumps({"name": self.project, "runtime": runtime})
        (folder / "Pulumi.yaml").write_text(project, encoding="utf-8")
        (folder / "__main__.py").write_text(program, encoding="utf-8")


class EmptyProgram(PlainProgram):
    """A program that declares nothing, with a stack `empty` that was updated once."""

    def __init__(self, folder: Path, ours: ImageProgram) -> None:
        super().__init__(folder, ours, EMPTY)
        self.init("empty")
        self.up("empty", changes=True)


class BareProgram(PlainProgram):
    """A program that declares these commands and does nothing else; its stack is `bare`."""

    def __init__(self, folder: Path, ours: ImageProgram, commands: list[Command]) -> None:
        super().__init__(folder, ours, BARE)
        self._commands = [replace(command, build=None) for command in commands]
        words = {command.name: dict(command.words) for command in commands}
        (folder / "commands.json").write_text(json.dumps(words), encoding="utf-8")
        write_stub(folder)
        self.init("bare")

    def hold(self) -> None:
        """Let its state hold them already."""
        self.fill("bare", self._commands)


class ImageProgram(Side):
    """A copy of the project, on a sandbox of its own."""

    project = "alpine-omi"

    def __init__(self, copy: Project) -> None:
        environment = copy.environment()
        environment.pop("PYTHONDONTWRITEBYTECODE", None)  # so Python keeps compiled files, as usual
        super().__init__(copy.folder, environment)
        self._copy = copy

    def plan_new(self, stack: str, builds: int) -> list[Command]:
        """Make a stack and a profile with this many builds; returns the commands that the program would declare."""
        target = {"version": "3.23", "arch": "x86_64"}
        entries = {f"b{n:03}": {**target, "prefix": f"{stack}{n:03}-"} for n in range(builds)}
        profile = self.folder / "profiles" / "alpine.yaml"
        profile.write_text(yaml.safe_dump({"builds": entries}), encoding="utf-8")
        settings = yaml.safe_load((self.folder / "stacks" / "Pulumi.e2e.yaml").read_text(encoding="utf-8"))
        settings["config"]["alpine-omi:releases_dir"] = f"releases/{stack}"
        (self.folder / "stacks" / f"Pulumi.{stack}.yaml").write_text(yaml.safe_dump(settings), encoding="utf-8")
        self.init(stack)
        steps = json.loads(self.pulumi("preview", "--stack", stack, "--json"))["steps"]
        planned = [step["newState"] for step in steps if step["newState"]["type"] == COMMAND]
        return [
            Command(state["urn"].rpartition("::")[2], state["inputs"], build=state["parent"].rpartition("::")[2])
            for state in planned
        ]

    def hold(self, stack: str, builds: int, revisions: int) -> list[Command]:
        """Make a stack with this many images of each build, all in the account; returns its commands."""
        newest = self.plan_new(stack, builds)
        specs = [spec for command in newest for spec in _revisions(command, revisions)]
        ids = _register(self._oapi(), specs)
        account = str(self._oapi().call("ReadAccounts")["Accounts"][0]["AccountId"])
        words = dict(newest[0].words)
        commands = [
            Command(spec.name, {**words, "stdin": spec.to_json()}, _record(spec, ids[spec.name], account), spec.build)
            for spec in specs
        ]
        self.fill(stack, commands)
        self.up(stack, changes=True)  # which keeps the stack's id and its outputs
        return commands

    def stub_builds(self) -> None:
        """Let a stub of a few lines stand for every build, update and delete that is planned from now on."""
        program = self.folder / "omi" / "state" / "ledger.py"
        text, real = program.read_text(encoding="utf-8"), "exec python3 -m omi.commands {verb}"
        if real not in text:
            raise SystemExit(f"{program}: has no {real!r} to put a stub for")
        program.write_text(text.replace(real, "exec sh ./stub.sh"), encoding="utf-8")
        write_stub(self.folder)

    def _oapi(self) -> Oapi:
        profile = json.loads((self._copy.home / "osc.json").read_text(encoding="utf-8"))["main"]
        return Oapi(profile, Addresses(self._copy.base_port), self._copy.home / "ca.pem")


def _revisions(newest: Command, count: int) -> list[ImageSpec]:
    """The image of a planned command as revision count-1, after earlier revisions with other content."""
    spec = ImageSpec.from_json(newest.words["stdin"], newest.name)
    return [
        spec.model_copy(
            update={
                "revision": number,
                "name": spec.target.image_name(spec.release, number),
                "digest": spec.digest if number == count - 1 else f"sha256:{number:064}",
            }
        )
        for number in range(count)
    ]


def _record(spec: ImageSpec, omi: str, account: str) -> str:
    where = {"account": account, "region": spec.cloud.region}
    record = make_record(name=spec.name, omi=omi, snapshots=(), used_bytes=90_000_000, **where)
    return record.to_json()


def _register(oapi: Oapi, specs: list[ImageSpec]) -> dict[str, str]:
    """Register images of these names and tags over one empty snapshot; returns OMI ids by name, once available."""
    content = snapshot(oapi, empty_volume(oapi))
    disk = {"DeviceName": "/dev/sda1", "Bsu": {"SnapshotId": content}}

    def make(spec: ImageSpec) -> str:
        made: str = oapi.call(
            "CreateImage",
            ImageName=spec.name,
            Architecture="x86_64",
            RootDeviceName="/dev/sda1",
            BlockDeviceMappings=[disk],
        )["Image"]["ImageId"]
        tags = [{"Key": key, "Value": value} for key, value in Identity(spec).tags.items()]
        oapi.call("CreateTags", ResourceIds=[made], Tags=tags)
        return made

    with ThreadPoolExecutor(max_workers=4) as several:
        ids = dict(zip((spec.name for spec in specs), several.map(make, specs), strict=True))
    unfinished = {"Filters": {"States": ["pending"], "ImageNames": list(ids)}}
    wait_for(lambda: oapi.call("ReadImages", **unfinished)["Images"], lambda images: not images, 60)
    return ids


@contextmanager
def project_on_sandbox(place: Path, *arguments: str, stubs: bool = True) -> Iterator[Project]:
    """A copy of the project in `place` on a sandbox process of its own, which ends with it; without VMs by `stubs`."""
    project = Project(place / "project", place / "cloud", free_base_port(), stubs=stubs)
    started = project.start_cloud(*arguments)
    if started.code:
        raise SystemExit(started.text)
    try:
        yield project
    finally:
        project.sandbox("stop")
