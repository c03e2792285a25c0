"""Runs the `run` steps of a GitHub workflow's job as its runner does; `uses` steps are left out."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

_LIMIT = 900.0
"""Seconds that one step may take."""


@dataclass
class Job:
    """A job that ran: the steps that ran, those that failed, and what they printed."""

    steps: list[str] = field(default_factory=list)
    red: list[str] = field(default_factory=list)
    text: str = ""

    @property
    def failed(self) -> bool:
        return bool(self.red)


_WHEN: dict[str | None, Callable[[Job], bool]] = {
    None: lambda job: not job.failed,
    "always()": lambda job: True,
    "always() && steps.sign.outcome == 'success'": lambda job: "Sign" not in job.red,
    "!success()": lambda job: job.failed,
    "!cancelled() && hashFiles('build/ci/preview.md') != ''": lambda job: True,
}
"""Whether a step runs, by its `if` and the steps before it."""


@dataclass(frozen=True)
class Workflow:
    """A workflow file; `values` are what its expressions give, as they are written in it."""

    path: Path
    values: Mapping[str, str]

    def run(self, job: str, folder: Path, environment: Mapping[str, str]) -> Job:
        """Run the job's steps in the checkout `folder`; an expression that `values` lacks is a KeyError."""
        content = yaml.safe_load(self.path.read_text(encoding="utf-8"))
        common = {**self._given(content.get("env", {})), **self._given(content["jobs"][job].get("env", {}))}
        done = Job()
        for step in self._shell_steps(content["jobs"][job]["steps"]):
            if not _WHEN[_condition(step)](done):
                continue
            ended = subprocess.run(
                ["bash", "-e", "-c", step["run"]], cwd=folder, stdin=subprocess.DEVNULL, text=True,
                env={**common, **environment, **self._given(step.get("env", {}))},
                stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=_LIMIT, check=False,
            )  # fmt: skip
            done.steps.append(step["name"])
            done.text += ended.stdout
            done.red += [step["name"]] if ended.returncode else []
        return done

    def _shell_steps(self, steps: list[dict[str, Any]]) -> Iterator[dict[str, Any]]:
        return (step for step in steps if "run" in step)

    def _given(self, environment: Mapping[str, str]) -> dict[str, str]:
        return {
            name: re.sub(r"\$\{\{ (.*?) \}\}", lambda found: self.values[found[1]], text)
            for name, text in environment.items()
        }


def _condition(step: Mapping[str, Any]) -> str | None:
    text = step.get("if")
    return None if text is None else re.sub(r"^\$\{\{ (.*) \}\}$", r"\1", str(text))
