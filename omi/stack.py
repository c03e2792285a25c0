"""A stack seen from outside Pulumi's engine: its configuration file and its exported state."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from omi.errors import SettingsError, StateError, ToolError

PROJECT = "alpine-omi"
"""The project's name in Pulumi.yaml, which is also the namespace of its configuration."""

EXPORT_LIMIT = 120
"""Seconds that `pulumi stack export` may take; a thousand images take about two."""


class StackFile:
    """The configuration in `stacks/Pulumi.<stack>.yaml`, answering as Pulumi's Config does."""

    def __init__(self, stack: str, folder: Path = Path("stacks")) -> None:
        path = folder / f"Pulumi.{stack}.yaml"
        try:
            content = yaml.safe_load(path.read_text(encoding="utf-8")) or {}
        except FileNotFoundError as error:
            known = sorted(file.name.split(".")[1] for file in folder.glob("Pulumi.*.yaml"))
            raise SettingsError(
                f"stack {stack!r}: {path} does not exist; stacks here: {', '.join(known) or 'none'}; "
                "run this in the project's folder"
            ) from error
        except yaml.YAMLError as error:
            raise SettingsError(f"{path}: is not YAML: {str(error).splitlines()[0]}") from error
        self._values: dict[str, Any] = content.get("config") or {}

    def keys(self) -> list[str]:
        """Every key of the project's own that is set."""
        own = f"{PROJECT}:"
        return [key.removeprefix(own) for key in self._values if key.startswith(own)]

    def get(self, key: str) -> str | None:
        """A plain value, None where it isn't set."""
        value = self._values.get(f"{PROJECT}:{key}")
        return None if value is None else str(value)

    def get_object(self, key: str) -> Any:
        """A structured value, None where it isn't set."""
        return self._values.get(f"{PROJECT}:{key}")


def add_to_list(stack: str, key: str, start: int, items: Sequence[Mapping[str, str | int]]) -> None:
    """Append objects to a list of the stack's configuration, from index `start` on, by Pulumi itself.

    Raises ToolError or SettingsError.
    """
    pairs = [
        argument
        for index, item in enumerate(items, start)
        for name, value in item.items()
        for argument in ("--plaintext", f"{PROJECT}:{key}[{index}].{name}={value}")
    ]
    command = ["pulumi", "config", "set-all", "--stack", stack, "--path", *pairs]
    done = _run(command)
    if done.returncode:
        lines = done.stderr.strip().splitlines() or ["no message"]
        raise SettingsError(f"stack {stack!r}: {key} not written: {lines[-1].removeprefix('error: ')}")


def exported_state(stack: str) -> dict[str, Any]:
    """The stack's state by `pulumi stack export`: its deployment as JSON; raises ToolError or StateError."""
    done = _run(["pulumi", "stack", "export", "--stack", stack])
    if done.returncode:
        lines = done.stderr.strip().splitlines() or ["no message"]
        raise StateError(f"stack {stack!r}: {lines[-1].removeprefix('error: ')}")
    deployment: dict[str, Any] = json.loads(done.stdout).get("deployment") or {}
    return deployment


def _run(command: Sequence[str]) -> subprocess.CompletedProcess[str]:
    try:
        return subprocess.run(command, capture_output=True, text=True, timeout=EXPORT_LIMIT, check=False)
    except FileNotFoundError as error:
        raise ToolError("pulumi is not on PATH; run `. toolchain/env.sh` first") from error
    except subprocess.TimeoutExpired as error:
        shown = " ".join(command[:3])
        raise ToolError(f"`{shown}` took over {EXPORT_LIMIT} s; is the state's backend reachable?") from error
