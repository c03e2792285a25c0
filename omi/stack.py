"""A stack seen from outside Pulumi's engine: its configuration file and its exported state."""

from __future__ import annotations

import json
import subprocess
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

    def get(self, key: str) -> str | None:
        """A plain value, None where it isn't set."""
        value = self._values.get(f"{PROJECT}:{key}")
        return None if value is None else str(value)

    def get_object(self, key: str) -> Any:
        """A structured value, None where it isn't set."""
        return self._values.get(f"{PROJECT}:{key}")


def exported_state(stack: str) -> dict[str, Any]:
    """The stack's state by `pulumi stack export`: its deployment as JSON; raises ToolError or StateError."""
    command = ["pulumi", "stack", "export", "--stack", stack]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=EXPORT_LIMIT, check=False)
    except FileNotFoundError as error:
        raise ToolError("pulumi is not on PATH; run `. toolchain/env.sh` first") from error
    except subprocess.TimeoutExpired as error:
        raise ToolError(
            f"`{' '.join(command)}` took over {EXPORT_LIMIT} s; is the state's backend reachable?"
        ) from error
    if done.returncode:
        lines = done.stderr.strip().splitlines() or ["no message"]
        raise StateError(f"stack {stack!r}: {lines[-1].removeprefix('error: ')}")
    deployment: dict[str, Any] = json.loads(done.stdout).get("deployment") or {}
    return deployment
