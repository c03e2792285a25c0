"""A throw-away Pulumi project whose program declares the Commands that a test writes down."""

import json
import os
import subprocess
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

STACK = "test"
LIMIT_SECONDS = 90
_PROJECT = "name: conformance\nruntime: python\n"
_PROGRAM = """\
import json
from pathlib import Path

import pulumi
from pulumi_command import local

for name, spec in json.loads(Path("commands.json").read_text()).items():
    inputs = {
        key: pulumi.Output.secret(value) if key in spec["secret"] else value for key, value in spec["inputs"].items()
    }
    local.Command(name, **inputs, opts=pulumi.ResourceOptions(**spec["options"]))
"""


@dataclass(frozen=True)
class Command:
    """One declared `local.Command`: its inputs, which of them are secret, its resource options."""

    inputs: Mapping[str, Any]
    secret: tuple[str, ...] = ()
    options: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Run:
    """What one run of the CLI gave: its exit status, the engine's events, and what a person would read."""

    status: int
    events: tuple[dict[str, Any], ...]
    text: str

    def messages(self, *, ephemeral: bool, name: str = "") -> list[str]:
        """Info messages of the diagnostics, for one resource or (without a name) for the stack."""
        found = [event["diagnosticEvent"] for event in self.events if "diagnosticEvent" in event]
        return [
            message["message"].rstrip("\n")
            for message in found
            if message["severity"] == "info"
            and message.get("ephemeral", False) is ephemeral
            and message.get("urn", "").endswith(f"::{name}" if name else "")
        ]

    def operations(self, name: str) -> list[str]:
        """What the engine did to a resource, in order."""
        events = [event["resourcePreEvent"]["metadata"] for event in self.events if "resourcePreEvent" in event]
        return [metadata["op"] for metadata in events if metadata["urn"].endswith(f"::{name}")]

    def planned(self, name: str) -> dict[str, Any]:
        """The outputs that a preview expects of a resource."""
        events = [event["resOutputsEvent"]["metadata"] for event in self.events if "resOutputsEvent" in event]
        outputs = [event["new"]["outputs"] for event in events if event["urn"].endswith(f"::{name}") and event["new"]]
        return dict(outputs[-1])


class Project:
    """A project, its file backend and its PULUMI_HOME in one folder."""

    def __init__(self, folder: Path, plugin: Path, environment: Mapping[str, str]) -> None:
        self.folder = folder / "project"
        self._backend = folder / "backend"
        home = folder / "home"
        for made in (self.folder, self._backend, home / "plugins"):
            made.mkdir(parents=True)
        # The engine overlooks a plugin folder that is itself a link.
        (home / "plugins" / plugin.name).mkdir()
        for entry in plugin.iterdir():
            (home / "plugins" / plugin.name / entry.name).symlink_to(entry)
        (self.folder / "Pulumi.yaml").write_text(_PROJECT)
        (self.folder / "__main__.py").write_text(_PROGRAM)
        self._env = {
            **os.environ,
            **environment,
            "PULUMI_HOME": str(home),
            "PULUMI_BACKEND_URL": f"file://{self._backend}",
            "PULUMI_CONFIG_PASSPHRASE": "conformance",
            "PULUMI_ENABLE_STREAMING_JSON_PREVIEW": "true",
            "PULUMI_PARALLEL": "16",
        }
        self._pulumi("stack", "init", STACK)

    def declare(self, commands: Mapping[str, Command]) -> None:
        """What the program declares from now on."""
        specs = {
            name: {"inputs": command.inputs, "secret": command.secret, "options": command.options}
            for name, command in commands.items()
        }
        (self.folder / "commands.json").write_text(json.dumps(specs))

    def preview(self) -> Run:
        """`pulumi preview`."""
        return self._run("preview", "--json")

    def up(self, *options: str) -> Run:
        """`pulumi up`."""
        return self._run("up", "--yes", "--skip-preview", "--json", *options)

    def destroy(self) -> Run:
        """`pulumi destroy`."""
        return self._run("destroy", "--yes", "--skip-preview", "--json")

    def start_up(self) -> "subprocess.Popen[str]":
        """`pulumi up` that the caller follows: its events come as lines on stdout."""
        return subprocess.Popen(
            ["pulumi", "up", "--yes", "--skip-preview", "--json", "--stack", STACK],
            cwd=self.folder,
            env=self._env,
            text=True,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )

    def state_text(self) -> str:
        """The stack's state as it lies on disk."""
        return (self._backend / ".pulumi" / "stacks" / "conformance" / f"{STACK}.json").read_text()

    def resource(self, name: str) -> dict[str, Any] | None:
        """A command's record in the state, None where there is none."""
        resources = json.loads(self.state_text())["checkpoint"]["latest"].get("resources") or []
        return next((item for item in resources if item["urn"].endswith(f"::{name}")), None)

    def stdout(self, name: str) -> str:
        """The stored standard output of a command."""
        resource = self.resource(name)
        return str(resource["outputs"]["stdout"]) if resource else "(not in state)"

    def _run(self, *arguments: str) -> Run:
        done = self._pulumi(*arguments, "--stack", STACK, check=False)
        events = tuple(_events(done.stdout))
        told = [event["diagnosticEvent"] for event in events if "diagnosticEvent" in event]
        text = "".join(message["message"] for message in told if message["severity"] != "debug")
        return Run(status=done.returncode, events=events, text=text + done.stderr)

    def _pulumi(self, *arguments: str, check: bool = True) -> "subprocess.CompletedProcess[str]":
        return subprocess.run(
            ["pulumi", *arguments, "--non-interactive"],
            cwd=self.folder,
            env=self._env,
            timeout=LIMIT_SECONDS,
            capture_output=True,
            text=True,
            check=check,
        )


def _events(text: str) -> Iterator[dict[str, Any]]:
    for line in text.splitlines():
        if line.startswith('{"sequence"'):
            yield json.loads(line)
