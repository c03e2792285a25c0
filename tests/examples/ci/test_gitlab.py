"""GitLab's pipeline, run by gitlab-ci-local on stub VMs. The tests are one story and run in their order."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import pytest

from tests.examples.ci.team import BUILD, STACK, Team, a_team
from tests.examples.tools import gitlab_ci_local
from toolchain.store import cache_folder

pytestmark = pytest.mark.slow

LIMIT = 900.0
"""Seconds that one pipeline may take."""


@dataclass(frozen=True)
class Pipelines:
    """The pipelines of a team's repository."""

    team: Team
    program: Path

    def run(self, source: str, **variables: str) -> subprocess.CompletedProcess[str]:
        """Run the pipeline that an event has."""
        settings = {
            "STACK": STACK,
            "PULUMI_BACKEND_URL": self.team.backend,
            "CI_PIPELINE_SOURCE": source,
            # What the cache of the tools would bring.
            "XDG_CACHE_HOME": str(cache_folder().parent),
            **variables,
        }
        given = [word for name, value in settings.items() for word in ("--variable", f"{name}={value}")]
        secrets = self.team.folder / ".gitlab-ci-local-variables.yml"
        lines = (f"{name}: '{value}'\n" for name, value in self.team.secrets.items())
        secrets.write_text("".join(lines), encoding="utf-8")
        done = subprocess.run(
            [self.program, "--force-shell-executor", *given, "--no-color",
             "--ignore-predefined-vars", "CI_PIPELINE_SOURCE"],
            cwd=self.team.folder, env=self.team.environment(), stdin=subprocess.DEVNULL, text=True,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=LIMIT, check=False,
        )  # fmt: skip
        assert self.team.secrets["OSC_SECRET_KEY"] not in done.stdout
        return done

    def report(self, name: str) -> str:
        """A job's report, an artifact of it."""
        return (self.team.folder / "build" / "ci" / f"{name}.md").read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def project() -> Iterator[Pipelines]:
    program = gitlab_ci_local()
    with a_team() as team:
        file = team.folder / ".gitlab-ci.yml"
        file.write_text("include: examples/ci/gitlab/images.yml\n", encoding="utf-8")
        team.commit("Add the pipeline")
        yield Pipelines(team, program)


def test_a_merge_request_gets_the_preview_as_an_artifact(project: Pipelines) -> None:
    done = project.run("merge_request_event")
    assert done.returncode == 0, done.stdout
    assert f"first image of {BUILD}" in project.report("preview")
    assert project.team.project.images() == []


def test_a_schedule_builds_and_publishes_and_makes_the_site(project: Pipelines) -> None:
    done = project.run("schedule")
    assert done.returncode == 0, done.stdout
    assert len(project.team.project.images()) == 2
    assert BUILD in project.team.published("releases/alpine.json")
    assert (project.team.folder / "public" / "index.html").is_file()
    assert project.team.said == []


def test_no_drift_is_green(project: Pipelines) -> None:
    done = project.run("schedule", JOB="drift")
    assert done.returncode == 0, done.stdout
    assert "nothing is left over" in project.report("drift")


def test_a_locked_stack_is_a_red_run_that_the_chat_hears_of_until_a_person_unlocks_it(project: Pipelines) -> None:
    project.team.lock(datetime.now(UTC).isoformat())
    refused = project.run("push")
    assert refused.returncode != 0
    assert "the stack is locked since" in refused.stdout
    assert "failed: https://" in project.team.said[-1]
    unlocked = project.run("web", LOCK_HOURS="0")
    assert unlocked.returncode == 0, unlocked.stdout
    assert "The lock of a run that ended" in project.report("update")
