"""GitHub's workflow is valid, and its jobs do what they say, on stub VMs.

The tests with a team are one story and run in their order.
"""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
import yaml

from tests.examples.ci.team import BUILD, STACK, Team, a_team
from tests.examples.ci.workflow import Job, Workflow
from tests.examples.tools import actionlint
from tests.omi.publish.signing import make_key

FILE = Path("examples/ci/github/images.yml")
TOP = Path(__file__).resolve().parents[3]
GH = """#!/bin/sh
# Stands in for GitHub's own command line, which a runner has.
set -eu
[ "$1 $2" = "pr comment" ] && [ "$4" = --body-file ] && [ -n "$GH_TOKEN" ]
cp "$5" "$(dirname "$0")/../comment-$3.md"
"""


@pytest.mark.slow
def test_actionlint_finds_nothing() -> None:
    done = subprocess.run([actionlint(), TOP / FILE], capture_output=True, text=True, timeout=120, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_the_keys_of_the_cloud_are_given_to_the_steps_that_need_them_alone() -> None:
    content = yaml.safe_load((TOP / FILE).read_text(encoding="utf-8"))
    assert "secrets" not in str(content["env"])
    for job in content["jobs"].values():
        assert "secrets" not in str(job.get("env"))
        for step in job["steps"]:
            given = re.findall(r"secrets\.(\w+)", str(step))
            assert not (given and "uses" in step)
            if "OSC_SECRET_KEY" in given:
                assert step["name"] in ("Preview", "Update", "Sign", "Drift")
            assert ("ALPINE_OMI_SIGNING_KEY" in given) is (step.get("name") == "Sign")


@pytest.fixture(scope="module")
def project() -> Iterator[Team]:
    with a_team() as team:
        gh = team.folder.parent / "bin" / "gh"
        gh.write_text(GH, encoding="utf-8")
        gh.chmod(0o755)
        make_key(team.folder.parent / "signing")
        yield team


def run(team: Team, job: str, *, unlock: bool = False) -> Job:
    """Run a job as GitHub does; each expression of the file has its value here."""
    signing = (team.folder.parent / "signing").read_text(encoding="utf-8")
    values = {
        **{f"secrets.{name}": value for name, value in team.secrets.items()},
        "vars.PULUMI_BACKEND_URL": team.backend,
        "secrets.ALPINE_OMI_SIGNING_KEY": signing,
        "github.token": "token",
        "secrets.PUBLISH_TOKEN || github.token": "token",
        "github.event.pull_request.number": "12",
        "inputs.unlock && '0' || '7'": "0" if unlock else "7",
    }
    of_github = {
        "STACK": STACK,
        "GITHUB_SERVER_URL": "https://github.example",
        "GITHUB_REPOSITORY": "team/images",
        "GITHUB_RUN_ID": "34",
        "GITHUB_STEP_SUMMARY": str(team.folder.parent / "summary.md"),
    }
    Path(of_github["GITHUB_STEP_SUMMARY"]).unlink(missing_ok=True)
    done = Workflow(team.folder / FILE, values).run(job, team.folder, {**team.environment(), **of_github})
    for secret in (team.secrets["OSC_SECRET_KEY"], signing.splitlines()[2]):
        assert secret not in done.text
    return done


def summary(team: Team) -> str:
    return (team.folder.parent / "summary.md").read_text(encoding="utf-8")


@pytest.mark.slow
def test_a_pull_request_gets_the_preview_as_a_comment(project: Team) -> None:
    done = run(project, "preview")
    assert not done.failed, done.text
    assert done.steps == ["Tools", "Preview", "Comment"]
    comment = (project.folder.parent / "comment-12.md").read_text(encoding="utf-8")
    assert f"first image of {BUILD}" in comment
    assert summary(project) == comment


@pytest.mark.slow
def test_an_update_builds_and_publishes_and_the_site_is_made(project: Team) -> None:
    done = run(project, "update")
    assert not done.failed, done.text
    assert done.steps == ["Tools", "Update", "Sign", "Publish"]
    assert BUILD in project.published("releases/alpine.json")
    trusted = project.folder.parent / "trusted"
    trusted.mkdir()
    (trusted / "allowed_signers").write_text(project.published("releases/allowed_signers"), encoding="utf-8")
    command = ["examples/verify/verify.sh", str(trusted / "allowed_signers"), "releases"]
    checked = subprocess.run(command, cwd=project.folder, capture_output=True, text=True, timeout=120, check=False)
    assert (checked.returncode, checked.stderr) == (0, "")
    assert project.git("status", "--porcelain") == ""
    site = run(project, "site")
    assert not site.failed, site.text
    assert (project.folder / "site" / "index.html").is_file()


@pytest.mark.slow
def test_no_drift_is_green(project: Team) -> None:
    done = run(project, "drift")
    assert (done.failed, done.steps) == (False, ["Tools", "Drift"]), done.text


@pytest.mark.slow
def test_a_locked_stack_is_a_red_run_that_the_chat_hears_of_until_a_person_unlocks_it(project: Team) -> None:
    project.lock(datetime.now(UTC).isoformat())
    refused = run(project, "update")
    assert refused.failed
    assert refused.steps == ["Tools", "Update", "Sign", "Publish", "Notify"]
    assert project.said[-1].endswith("failed: https://github.example/team/images/actions/runs/34")
    unlocked = run(project, "update", unlock=True)
    assert not unlocked.failed, unlocked.text
    assert "The lock of a run that ended" in summary(project)
