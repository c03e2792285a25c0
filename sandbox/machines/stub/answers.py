"""The answers of stub VMs: recorded output as templates, and rules that choose one. Values in, values out.

The folder of a recording has `rules.yaml` and the jinja2 templates that it names. A template knows
- `image`: the settings (name to value) that the build uploaded, of the VM's own root or of the disk it installs
- `metadata`: the metadata service's answers to the VM, by path below /latest/meta-data/
- `now`: seconds of the epoch; `vm`: the VM's id; `host_key`: the fingerprint of its SSH host key
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import yaml
from jinja2 import Environment, FileSystemLoader, StrictUndefined, TemplateError
from pydantic import BaseModel, ConfigDict, ValidationError

from sandbox.machines.protocol import MachineError
from sandbox.problem import first_problem

RECORDED = Path(__file__).with_name("recorded")
"""Recorded from the profile `alpine` on the sandbox's real VMs; sandbox/README.md has the command."""
System = Literal["source", "image"]


class _Data(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Installs(_Data):
    """The uploaded file with the image's settings, and the device on which it is installed."""

    settings: str
    device: str


class StubAnswer(_Data):
    """One answer: `command` and `input` (standard input, or the uploaded script that the command runs) are searched
    for these patterns; `leaves` are files that a download then finds, by path.
    """

    system: System
    command: str
    input: str | None = None
    output: str | None = None
    errors: str | None = None
    exit: int = 0
    leaves: dict[str, str] = {}
    installs: Installs | None = None


class Systems(_Data):
    """The user and the console's text of one system's VMs; both are templates, the user's inline."""

    user: str
    console: str


class Recording(_Data):
    """`rules.yaml`."""

    systems: dict[System, Systems]
    rules: tuple[StubAnswer, ...]


@dataclass(frozen=True)
class Answers:
    """A recording that answers commands."""

    folder: Path
    recording: Recording
    templates: Environment

    @classmethod
    def read(cls, folder: Path = RECORDED) -> Answers:
        """Read a recording; MachineError if it isn't one."""
        path = folder / "rules.yaml"
        try:
            recording = Recording.model_validate(yaml.safe_load(path.read_text(encoding="utf-8")))
        except (OSError, yaml.YAMLError, ValidationError) as error:
            why = first_problem(error) if isinstance(error, ValidationError) else str(error).splitlines()[0]
            raise MachineError(f"{path}: no answers of stub VMs: {why}") from error
        templates = Environment(  # noqa: S701 - the text goes into a terminal, not into a page
            loader=FileSystemLoader(folder), undefined=StrictUndefined, keep_trailing_newline=True
        )
        return cls(folder, recording, templates)

    def rules(self, system: System, command: str) -> list[StubAnswer]:
        """The rules that may answer a command, before its input is known."""
        return [each for each in self.recording.rules if each.system == system and re.search(each.command, command)]

    def user(self, system: System, known: Mapping[str, Any]) -> str:
        """The user who may log in."""
        return self._text(self.templates.from_string(self.recording.systems[system].user), known)

    def console(self, system: System, known: Mapping[str, Any]) -> str:
        """The text on the VM's console."""
        return self.render(self.recording.systems[system].console, known)

    def render(self, name: str | None, known: Mapping[str, Any]) -> str:
        """A template's text; nothing for None."""
        if name is None:
            return ""
        try:
            return self._text(self.templates.get_template(name), known)
        except TemplateError as error:
            raise MachineError(f"{self.folder / name}: {error}") from error

    @staticmethod
    def _text(template: Any, known: Mapping[str, Any]) -> str:
        try:
            return str(template.render(known))
        except TemplateError as error:
            raise MachineError(f"{template.name}: {error}") from error


def settings_of(text: str) -> dict[str, str]:
    """The assignments of a file that sh reads."""
    pairs = (word.partition("=") for word in shlex.split(text))
    return {name: value for name, _, value in pairs}
