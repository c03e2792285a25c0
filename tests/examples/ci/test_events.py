"""GitHub's and GitLab's recipes run the same jobs at the same events, at the same times, as docs/ci.md has them."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml

TOP = Path(__file__).resolve().parents[3]
GITHUB = yaml.safe_load((TOP / "examples" / "ci" / "github" / "images.yml").read_text(encoding="utf-8"))
GITLAB = yaml.safe_load((TOP / "examples" / "ci" / "gitlab" / "images.yml").read_text(encoding="utf-8"))
WEEKLY, DAILY = "17 3 * * 1", "17 15 * * *"
RENAMED = {"pages": "site"}
IN_A_JOB = {"notify"}
"""On GitHub it is a step of each job that may fail."""


def on_github(event: str, branch: str = "main", schedule: str = "", repository: str = "team/images") -> set[str]:
    """The jobs that run, where each succeeds."""
    words = {
        "github.event_name": event,
        "github.event.schedule": schedule,
        "github.event.pull_request.head.repo.full_name": repository,
        "github.repository": "team/images",
        "!cancelled()": True,
    }
    begun = GITHUB[True]  # YAML's `on`
    if event not in begun or (event == "push" and branch not in begun["push"]["branches"]):
        return set()
    ran: set[str] = set()
    for name, job in GITHUB["jobs"].items():
        results = {f"needs.{each}.result": "success" if each in ran else "skipped" for each in GITHUB["jobs"]}
        if evaluate(re.sub(r"^\$\{\{ (.*) \}\}$", r"\1", job["if"]), {**words, **results}):
            ran.add(name)
    return ran


def on_gitlab(source: str, branch: str | None = "main", job: str = "", *, failing: bool = False) -> set[str]:
    """The jobs that run, where each succeeds, or the earlier ones fail."""
    words = {
        "$CI_PIPELINE_SOURCE": source, "$CI_COMMIT_BRANCH": branch, "$CI_DEFAULT_BRANCH": "main", "$JOB": job,
    }  # fmt: skip
    if not any(evaluate(rule["if"], words) for rule in GITLAB["workflow"]["rules"]):
        return set()
    jobs = {
        name: each for name, each in GITLAB.items() if isinstance(each, dict) and "rules" in each and "script" in each
    }
    when = {name: next(_when(each["rules"], words), "never") for name, each in jobs.items()}
    wanted = {"always", "on_failure" if failing else "on_success"}
    return {RENAMED.get(name, name) for name, each in when.items() if each in wanted}


def _when(rules: list[dict[str, str]], words: Mapping[str, Any]) -> Iterator[str]:
    return (rule.get("when", "on_success") for rule in rules if "if" not in rule or evaluate(rule["if"], words))


def evaluate(text: str, words: Mapping[str, Any]) -> bool:
    """Give an expression's value; both kinds have the same operators."""
    for word in sorted(words, key=len, reverse=True):
        text = text.replace(word, repr(words[word]))
    return bool(eval(text.replace("&&", "and").replace("||", "or"), {"__builtins__": {}}))  # noqa: S307


@pytest.mark.parametrize(
    ("github", "gitlab", "jobs"),
    [
        (("pull_request", "topic"), ("merge_request_event", None), {"preview"}),
        (("push",), ("push",), {"update", "site"}),
        (("push", "topic"), ("push", "topic"), set()),
        (("schedule", "main", WEEKLY), ("schedule",), {"update", "site"}),
        (("schedule", "main", DAILY), ("schedule", "main", "drift"), {"drift"}),
        (("workflow_dispatch",), ("web",), {"update", "site"}),
    ],
    ids=["request", "merge", "push of a branch", "weekly", "daily", "by hand"],
)
def test_an_event_runs_the_same_jobs(github: tuple[str, ...], gitlab: tuple[str, ...], jobs: set[str]) -> None:
    assert on_github(*github) == jobs
    assert on_gitlab(*gitlab) == jobs
    notified = on_gitlab(*gitlab, failing=True) & IN_A_JOB
    assert bool(notified) is bool(jobs - {"preview"}), "a red run is heard of, but a request's author sees it"


def test_a_forks_request_gets_no_key() -> None:
    """GitLab runs it in the fork, which has no variables of ours."""
    assert on_github("pull_request", "topic", repository="stranger/images") == set()


def test_both_have_the_same_times() -> None:
    assert [each["cron"] for each in GITHUB[True]["schedule"]] == [WEEKLY, DAILY]
    page = (TOP / "docs" / "ci.md").read_text(encoding="utf-8")
    assert re.findall(r"\| `(\S+ \S+ \* \* \S)` \((\w+): (\w+)\)", page) == [
        (WEEKLY, "weekly", "update"),
        (DAILY, "daily", "drift"),
    ]


def test_no_cache_of_a_request_is_one_of_a_job_with_a_key() -> None:
    assert GITLAB[".tools"]["cache"]["key"]["prefix"] == GITLAB["pages"]["cache"]["key"]["prefix"] == "$CI_JOB_NAME"
    assert [name for name, each in GITLAB.items() if isinstance(each, dict) and "cache" in each] == [".tools", "pages"]
