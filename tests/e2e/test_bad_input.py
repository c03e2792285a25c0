"""Whatever is wrong, a preview says so in one line that names it and its cure, and leaves everything as it was."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.e2e.held import STACK, HeldProject, held_project
from tests.e2e.project import Result
from tests.sandbox.ports import free_base_port

pytestmark = pytest.mark.slow

BUILD = {"version": "3.23", "arch": "x86_64"}
Json = dict[str, Any]


@dataclass(frozen=True)
class Case:
    """What is wrong, and what the one line must say."""

    says: tuple[str, ...]
    config: Mapping[str, Any] = field(default_factory=dict)
    """Settings of the stack; None takes one away, a map is put into the map that is there."""
    profile: Mapping[str, Any] | None = None
    """The target profile to use instead."""


CASES = {
    "unknown profile": Case(
        ("there is no profile 'alpin' (did you mean 'alpine'?)", "there are: alpine"), config={"profile": "alpin"}
    ),
    "misspelt key of a profile": Case(
        ("wrong.yaml:", "builds.a.pakages: unknown key (did you mean 'packages'?)"),
        profile={"builds": {"a": {**BUILD, "pakages": {"nginx": True}}}},
    ),
    "wrong type in a profile": Case(
        ("wrong.yaml:", "builds.a.volume_size: big is not allowed; allowed: "),
        profile={"builds": {"a": {**BUILD, "volume_size": "big"}}},
    ),
    "name that OUTSCALE refuses": Case(
        ("wrong.yaml:", "builds.a.prefix: alp!ne- is not allowed; allowed: ", "OUTSCALE's rule for OMI names"),
        profile={"builds": {"a": {**BUILD, "prefix": "alp!ne-"}}},
    ),
    "no Region": Case(("region", "pulumi config set"), config={"region": None}),
    "unknown Region": Case(
        ("region: 'mars-1' is not an OUTSCALE Region (eu-west-2, us-east-2", "set one of these"),
        config={"region": "mars-1", "cloud": {"api": None}},
    ),
    "misspelt setting": Case(
        ("retension: unknown setting (did you mean 'retention'?)",), config={"retension": {"max_prunes": 1}}
    ),
    "misspelt setting in a map": Case(
        ("retention.release.kep: unknown setting (did you mean 'keep'?)",),
        config={"retention": {"release": {"kep": 1}}},
    ),
    "text for a map": Case(
        ("retention: 'much' is not allowed; allowed: a map of ", "max_prunes"), config={"retention": "much"}
    ),
    "wrong type in vm": Case(
        ("vm.ssh_port: 'many' is not allowed: ", "must be a whole number"), config={"vm": {"ssh_port": "many"}}
    ),
    "wrong type in cloud": Case(
        ("cloud.osc_profile: ['main'] is not allowed: ", "must be text"), config={"cloud": {"osc_profile": ["main"]}}
    ),
    "wrong type in retention": Case(
        ("retention.max_prunes: -1 is not allowed: ", "must be at least 0"),
        config={"retention": {"max_prunes": -1}},
    ),
    "wrong type in upstream": Case(
        ("upstream.mirror: 5 is not allowed: ", "must be text"), config={"upstream": {"mirror": 5}}
    ),
    "no credentials": Case(
        ("credentials: none found", "set OSC_ACCESS_KEY and OSC_SECRET_KEY"),
        config={"cloud": {"osc_file": None, "osc_profile": None}},
    ),
    "no such profile of credentials": Case(
        ("credentials: ", "has no profile 'mian'", "main, "), config={"cloud": {"osc_profile": "mian"}}
    ),
    "credentials of another Region": Case(
        ("'main-us' is of Region us-east-2, the stack's is eu-west-2", "name the profile of that Region's account"),
        config={"cloud": {"osc_profile": "main-us"}},
    ),
    "no file of authorities": Case(
        ("cloud.ca_file: /nowhere/ca.pem: no such file", "start the local cloud or correct the path"),
        config={"cloud": {"ca_file": "/nowhere/ca.pem"}},
    ),
    "no such source OMI": Case(("Nope-*", "Outscale", "vm.source_omi"), config={"vm": {"source_omi": "Nope-*"}}),
}


@dataclass(frozen=True)
class Wrong:
    """A project of which nothing is held, and ways to preview it with something wrong."""

    held: HeldProject

    def home(self) -> dict[str, str]:
        """A home without credentials."""
        return {"HOME": str(self.held.project.folder.parent)}

    def recorded_release(self, version: str) -> str:
        """What the core profile of a version has."""
        file = self.held.project.folder / "profiles" / "version" / f"{version}.yaml"
        return str(yaml.safe_load(file.read_text(encoding="utf-8"))["release"])

    def stack_file(self, case: Case) -> Path:
        """The stack's file with the case's settings, outside the checkout; the case's profile is written, too."""
        folder, config = self.held.project.folder, dict(case.config)
        if case.profile is not None:
            (folder / "profiles" / "wrong.yaml").write_text(yaml.safe_dump(dict(case.profile)), encoding="utf-8")
            config["profile"] = "wrong"
        stack = yaml.safe_load((folder / "stacks" / f"Pulumi.{STACK}.yaml").read_text(encoding="utf-8"))
        stack["config"] = _merged(stack["config"], {f"alpine-omi:{key}": value for key, value in config.items()})
        file = folder.parent / "wrong.yaml"
        file.write_text(yaml.safe_dump(stack), encoding="utf-8")
        return file

    def preview(self, case: Case, changed: Mapping[str, str] | None = None) -> Result:
        """`pulumi preview` of the case."""
        words = ("pulumi", "--color", "never", "--non-interactive", "preview", "-s", STACK, "--config-file")
        file = self.stack_file(case)
        account, files = self.account(), self.files()
        done = self.held.project.run(*words, str(file), changed={**self.home(), **(changed or {})})
        assert self.account() == account
        assert {name for name, what in self.files().items() if files.get(name) != what} == set()
        return done

    def account(self) -> Any:
        """All that the account holds."""
        return self.held.sandbox.control("GET", "inventory")

    def files(self) -> dict[str, tuple[int, int]]:
        """Every file of the checkout, with its size and time."""
        folder = self.held.project.folder
        return {
            str(path.relative_to(folder)): (path.stat().st_size, path.stat().st_mtime_ns)
            for part in folder.iterdir()
            if part.name not in ("backend", "cache", ".venv", "e2e.log")
            for path in (part, *part.rglob("*"))
            if path.is_file() and "__pycache__" not in path.parts
        }

    def calls(self) -> int:
        """How many calls the cloud has had."""
        return len(self.held.sandbox.control("GET", "calls?since=0"))


def _merged(old: Json, new: Mapping[str, Any]) -> Json:
    merged = dict(old)
    for key, value in new.items():
        if value is None:
            merged.pop(key, None)
        else:
            both = isinstance(value, Mapping) and isinstance(merged.get(key), dict)
            merged[key] = _merged(merged[key], value) if both else value
    return merged


def one_line(done: Result) -> str:
    """The one line of an error, for everything else is as it should be."""
    assert done.code != 0, done.end
    assert "Traceback" not in done.text
    # the progress shows the line, too
    lines = {line.partition("error: ")[2] for line in done.text.splitlines() if "error: " in line}
    assert len(lines) == 1, done.text
    return lines.pop()


@pytest.fixture(scope="module")
def wrong() -> Iterator[Wrong]:
    with held_project() as held:
        held.write_profile("one")
        assert held.project.pulumi("stack", "init", "wrong").code == 0
        yield Wrong(held)


@pytest.mark.parametrize("case", CASES.values(), ids=CASES.keys())
def test_what_is_wrong_is_said_in_one_line_and_changes_nothing(wrong: Wrong, case: Case) -> None:
    line = one_line(wrong.preview(case))
    for words in case.says:
        assert words in line


def test_refused_credentials_are_tried_once(wrong: Wrong) -> None:
    folder = wrong.held.project.folder.parent
    profiles = json.loads(wrong.held.sandbox.settings.profiles_file.read_text(encoding="utf-8"))
    profiles["main"]["secret_key"] = "x" * 40
    (folder / "refused.json").write_text(json.dumps(profiles), encoding="utf-8")
    before = wrong.calls()
    line = one_line(wrong.preview(Case((), config={"cloud": {"osc_file": str(folder / "refused.json")}})))
    assert "credentials: " in line
    assert "refused" in line
    assert wrong.calls() == before + 1


def test_a_cloud_that_is_not_there_is_named(wrong: Wrong) -> None:
    api = f"https://127.0.0.1:{free_base_port()}/api/v1"
    line = one_line(wrong.preview(Case((), config={"cloud": {"api": api}})))
    assert api in line
    assert "python -m sandbox start" in line


@pytest.mark.parametrize(("tool", "cure"), [("packer", "make tools"), ("ssh", "openssh-client")])
def test_a_missing_tool_is_named_before_anything_is_built(wrong: Wrong, tmp_path: Path, tool: str, cure: str) -> None:
    path = wrong.held.project.environment()["PATH"]
    for name in ("pulumi", "pulumi-language-python", "pulumi-language-python-exec", "packer", "ssh", "ssh-keygen"):
        found = shutil.which(name, path=path)
        if found and name != tool:
            (tmp_path / name).symlink_to(found)
    venv = wrong.held.project.folder / ".venv" / "bin"
    line = one_line(wrong.preview(Case(()), {"PATH": os.pathsep.join((str(venv), str(tmp_path)))}))
    assert f"{tool} is not on PATH" in line
    assert cure in line


def nowhere() -> Json:
    """Settings of an upstream that nobody serves."""
    place = f"http://127.0.0.1:{free_base_port()}"
    return {"upstream": {"releases": f"{place}/releases.json", "mirror": f"{place}/alpine"}}


def test_alpine_that_is_not_there_is_a_warning_and_the_recorded_release_counts(wrong: Wrong, tmp_path: Path) -> None:
    gone = nowhere()
    done = wrong.preview(Case((), config=gone), {"ALPINE_OMI_CACHE": str(tmp_path)})
    assert done.code == 0, done.end
    assert f"{gone['upstream']['releases']}: it can't be reached" in done.text
    recorded = wrong.recorded_release("3.23")
    assert f"one-{recorded}-x86_64-r0" in done.text
    assert f"the mirror can't be asked, so {recorded} counts as last known" in done.text


def test_alpine_that_is_not_there_and_no_recorded_release_is_an_error(wrong: Wrong, tmp_path: Path) -> None:
    core = wrong.held.project.folder / "profiles" / "version"
    (core / "3.21.yaml").write_text("base: base/1\n", encoding="utf-8")
    old = {"builds": {"old": {**BUILD, "version": "3.21"}}}
    line = one_line(wrong.preview(Case((), config=nowhere(), profile=old), {"ALPINE_OMI_CACHE": str(tmp_path)}))
    (core / "3.21.yaml").unlink()
    assert "old: the release of Alpine 3.21 for x86_64 is not known" in line
    assert "set `release` in the profile" in line


PLANS = {"unknown profile": 2, "misspelt setting": 2, "no Region": 2, "no credentials": 3}


@pytest.mark.parametrize(("name", "code"), PLANS.items(), ids=PLANS.keys())
def test_the_plan_without_the_engine_says_the_same(wrong: Wrong, name: str, code: int) -> None:
    case = CASES[name]
    stack = yaml.safe_load(wrong.stack_file(case).read_text(encoding="utf-8"))
    stack["config"]["alpine-omi:releases_dir"] = "releases/wrong"  # two stacks may not write into one folder
    (wrong.held.project.folder / "stacks" / "Pulumi.wrong.yaml").write_text(yaml.safe_dump(stack), encoding="utf-8")
    done = wrong.held.project.run("python3", "-m", "omi", "plan", "-s", "wrong", changed=wrong.home())
    assert done.code == code, done.end
    assert len(done.text.strip().splitlines()) == 1, done.text
    for words in case.says:
        assert words in done.text
