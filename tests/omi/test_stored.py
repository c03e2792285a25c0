"""What stacks hold for ever: a command as each older version of the program wrote it still reads, stays and deletes.

`stored/` has one file a form, named after the day on which it was written last; a form is never changed there.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from omi.identity import Identity
from omi.image import ImageSpec
from omi.ledger import COMMAND_TYPE, LedgerImage, read_ledger
from omi.plan import Action, make_plan
from omi.settings import Retention
from omi.upstream.model import Upstream
from tests.omi.conftest import ACCOUNT, Account

TOP = Path(__file__).resolve().parents[2]
FORMS = sorted(Path(__file__).with_name("stored").glob("*.json"))


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
    plan = make_plan([], Upstream(), ledger, Retention(allow_mass_prune=("all",)), today, lambda *_: "sha256:new")
    assert [(step.name, step.action) for step in plan.steps] == [(held.name, Action.PRUNE)]


@pytest.mark.parametrize("form", FORMS, ids=lambda form: form.stem)
def test_its_own_delete_command_deregisters_the_image(form: Path, account: Account, tmp_path: Path) -> None:
    stored = read(form)
    held = image(stored)
    omi = account.register(held.name, tags=dict(Identity(held.spec).tags))
    here = {"cloud": account.access.model_dump(mode="json"), "releases_dir": str(tmp_path)}
    stdin = json.dumps(json.loads(stored["stdin"]) | here)
    record = json.dumps(json.loads(stored["stdout"]) | {"omi": omi, "snapshots": [], "account": ACCOUNT})
    environment = {**os.environ, "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}
    done = subprocess.run(
        ["sh", "-c", stored["delete"]],
        cwd=TOP, input=stdin, env={**environment, "PULUMI_COMMAND_STDOUT": record},
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert f"deregistered {omi}" in done.stderr
    assert account.left() == {}


def test_there_is_a_form() -> None:
    assert FORMS
