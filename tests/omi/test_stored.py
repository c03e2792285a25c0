"""What stacks hold for ever: a command as each older version of the program wrote it still reads, stays and deletes.

`stored/` has one file a form, written by the version of that day which began to write it, and named after the day and
what was new in it; a form is never changed there.
"""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel

from omi.__main__ import main
from omi.identity import Identity
from omi.image import BuildVm, CloudAccess, ImageRecord, ImageSpec
from omi.ledger import COMMAND_TYPE, LedgerImage, StoredCommand, read_ledger
from omi.plan import Action, make_plan
from omi.profile.model import Access, Build
from omi.settings import Retention, SharedDays, Stages
from omi.upstream.model import Upstream
from tests.omi.conftest import Account

TOP = Path(__file__).resolve().parents[2]
AT_ONCE = Retention(allow_mass_prune=("all",), stages=Stages(shared=SharedDays(deprecated_days=0, private_days=0)))
FORMS = sorted(Path(__file__).with_name("stored").glob("*.json"))
OLDEST = Path(__file__).with_name("stored") / "2026-11-23.json"


def read(form: Path) -> dict[str, Any]:
    content: dict[str, Any] = json.loads(form.read_text(encoding="utf-8"))
    return content


def image(stored: dict[str, Any]) -> LedgerImage:
    name = ImageSpec.from_json(stored["stdin"], "fixture").name
    urn = f"urn:pulumi:sandbox::alpine-omi::alpine:omi:ProfileBuild$command:local:Command::{name}"
    (found,) = read_ledger({urn: {"type": COMMAND_TYPE, "outputs": stored}}).images
    return found


@pytest.mark.parametrize("form", FORMS, ids=lambda form: form.stem)
def test_it_is_declared_as_state_holds_it_so_that_nothing_is_updated(form: Path) -> None:
    stored = read(form)
    held = image(stored)
    words = {key: stored[key] for key in ("create", "update", "delete", "stdin")}
    assert held.command.__dict__ == words
    ledger = read_ledger({f"urn::{held.name}": {"type": COMMAND_TYPE, "outputs": stored}})
    today = datetime(2026, 11, 24, tzinfo=UTC).date()
    plan = make_plan([], Upstream(), ledger, AT_ONCE, today, lambda *_: "sha256:new")
    assert [(step.name, step.action) for step in plan.steps] == [(held.name, Action.PRUNE)]


class Stack:
    """Runs the commands that state holds, in this process: `exec python3 -m omi VERB`, by whatever version written."""

    def __init__(self, account: Account, patch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
        self.account, self.patch, self.capsys = account, patch, capsys

    def hold(self, form: Path) -> tuple[dict[str, Any], str]:
        """The form as it would be in this account's stack, and the OMI that is there for it."""
        stored = read(form)
        held = image(stored)
        tags = {} if held.record.adopted else dict(Identity(held.spec).tags)
        omi = self.account.register(held.name, tags=tags)
        spec = json.loads(stored["stdin"]) | {"cloud": self.account.access.model_dump(mode="json")}
        record = json.loads(stored["stdout"]) | {"omi": omi, "snapshots": [], "account": self.account.id}
        return stored | {"stdin": json.dumps(spec), "stdout": json.dumps(record)}, omi

    def run(self, words: str, stdin: str, stdout: str) -> tuple[int, str, str]:
        told = words.split(" ")
        assert told[:-1] == ["exec", "python3", "-m", "omi"], "a form of command that nothing here runs"
        self.patch.setattr("sys.stdin", io.StringIO(stdin))
        self.patch.setenv("PULUMI_COMMAND_STDOUT", stdout)
        code = main(told[-1:])
        seen = self.capsys.readouterr()
        return code, seen.out, seen.err


@pytest.fixture
def stack(
    account: Account, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Stack:
    monkeypatch.chdir(tmp_path)
    return Stack(account, monkeypatch, capsys)


@pytest.mark.parametrize("form", FORMS, ids=lambda form: form.stem)
def test_its_own_commands_share_the_image_and_deregister_it_unless_it_was_adopted(form: Path, stack: Stack) -> None:
    stored, omi = stack.hold(form)
    shared = json.loads(stored["stdin"]) | {"access": {"public": True, "accounts": []}}
    code, out, err = stack.run(stored["update"], json.dumps(shared), stored["stdout"])
    assert code == 0, err
    # as the version that wrote it would read it: nothing that it doesn't know, nothing gone
    assert json.loads(out) == json.loads(stored["stdout"])
    adopted = json.loads(out)["adopted"]
    assert stack.account.launchers(omi) == (set() if adopted else {"all"})

    code, _, err = stack.run(stored["delete"], stored["stdin"], stored["stdout"])
    assert code == 0, err
    assert ("forgotten" if adopted else f"deregistered {omi}") in err
    assert stack.account.left() == ({"image": [omi]} if adopted else {})


def test_the_shell_runs_those_words_from_the_projects_folder(account: Account, tmp_path: Path) -> None:
    stored = read(OLDEST)
    held = image(stored)
    omi = account.register(held.name, tags=dict(Identity(held.spec).tags))
    here = {"cloud": account.access.model_dump(mode="json"), "releases_dir": str(tmp_path)}
    stdin = json.dumps(json.loads(stored["stdin"]) | here)
    record = json.dumps(json.loads(stored["stdout"]) | {"omi": omi, "snapshots": [], "account": account.id})
    environment = {**os.environ, "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}
    done = subprocess.run(
        ["sh", "-c", stored["delete"]],
        cwd=TOP, input=stdin, env={**environment, "PULUMI_COMMAND_STDOUT": record},
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert f"deregistered {omi}" in done.stderr
    assert account.left() == {}


def test_every_form_that_can_be_written_today_is_kept() -> None:
    """What a new version adds to state or to the words of its commands needs a form here, before it is released."""
    written, commands = set[str](), set[str]()
    for form in FORMS:
        stored = read(form)
        spec, record = json.loads(stored["stdin"]), json.loads(stored["stdout"])
        written |= {f"spec.{key}" for key in spec} | {f"record.{key}" for key in record}
        written |= {f"{part}.{key}" for part in ("build", "access", "cloud", "vm") for key in spec[part]}
        commands |= {stored[key] for key in ("create", "update", "delete")}
    models: dict[str, type[BaseModel]] = {
        "spec": ImageSpec, "record": ImageRecord, "build": Build, "access": Access, "cloud": CloudAccess, "vm": BuildVm,
    }  # fmt: skip
    known = {f"{part}.{key}" for part, model in models.items() for key in model.model_fields}
    assert known - written == set(), "no form in tests/omi/stored holds these: add one, named after the day"
    assert written - known == set(), "stored forms that can't be read any more"
    now = [StoredCommand.of(create, image(read(OLDEST)).spec) for create in ("build", "adopt")]
    assert {word for each in now for word in (each.create, each.update, each.delete)} <= commands
