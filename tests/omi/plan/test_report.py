from __future__ import annotations

import json

from omi.config.settings import Level, Retention
from omi.plan import Plan
from omi.plan.report import plan_json, render_table
from omi.profile.model import Access
from omi.state.account import AccountImage
from omi.state.ledger import Ledger
from tests.omi.plan.make import account, build, held, ledger, plan_of, upstream

V22, V23 = build("v3_22", "3.22", prefix="alpine-"), build("v3_23", prefix="alpine-")
KNOWN = upstream("3.22.1", "3.23.6")


def full_plan() -> Plan:
    images = ledger(*(held(V23, f"3.23.{number}") for number in (4, 5)), held(V22, "3.22.1"))
    return plan_of([V22, V23], KNOWN, images, Retention(release=Level()))


def test_table() -> None:
    assert render_table(full_plan()).splitlines() == [
        "   build  image                    action  reason",
        "   v3_22  alpine-3.22.1-x86_64-r0  keep    current",
        "+  v3_23  alpine-3.23.6-x86_64-r0  build   new release 3.23.6 (was 3.23.5)",
        "   v3_23  alpine-3.23.5-x86_64-r0  keep    the newest verified image of its build",
        "-  v3_23  alpine-3.23.4-x86_64-r0  prune   release: the newest release of version 3.23 is kept",
        "1 to build, 2 to keep, 1 to prune",
    ]


def test_rows_are_aligned() -> None:
    rows = render_table(full_plan()).splitlines()[:-1]
    assert (
        len({row.index(word) for row, word in zip(rows, ("action", "keep", "build ", "keep", "prune"), strict=True)})
        == 1
    )


def test_warnings_are_shown_below() -> None:
    plan = plan_of([V23.model_copy(update={"recorded_release": "3.23.1"})], upstream(), Ledger())
    lines = render_table(plan).splitlines()
    assert lines[-2].startswith("warning: Alpine 3.23 for x86_64: the mirror can't be asked")
    assert lines[-1] == "1 to build"


def test_empty_plan_says_so() -> None:
    assert render_table(plan_of([], KNOWN, Ledger())).splitlines() == [
        "There are no images, and none is wanted.",
        "nothing to do",
    ]


def test_changed_access_is_marked() -> None:
    public = V23.model_copy(update={"access": Access(public=True)})
    assert render_table(plan_of([public], KNOWN, ledger(held(V23, "3.23.6")))).splitlines()[1].startswith("~")


def test_json_holds_every_step() -> None:
    told = json.loads(plan_json(full_plan()))
    assert told["changes"] is True
    assert told["warnings"] == []
    assert [(step["image"], step["action"]) for step in told["steps"]] == [
        ("alpine-3.22.1-x86_64-r0", "keep"),
        ("alpine-3.23.6-x86_64-r0", "build"),
        ("alpine-3.23.5-x86_64-r0", "keep"),
        ("alpine-3.23.4-x86_64-r0", "prune"),
    ]
    assert told["steps"][3] == {
        "action": "prune",
        "adopted": False,
        "build": "v3_23",
        "digest": "sha256:alpine",
        "image": "alpine-3.23.4-x86_64-r0",
        "level": "release",
        "packages": [],
        "omi": "ami-alpine-3.23.4-x86_64-r0",
        "reason": "release: the newest release of version 3.23 is kept",
        "region": "eu-west-2",
        "release": "3.23.4",
        "revision": "r0",
        "updates": False,
        "changes": [],
        "stage": "current",
        "removal": None,
    }


def test_json_names_the_omi_that_is_adopted() -> None:
    view = account(AccountImage("alpine-3.23.6-x86_64-r0", "ami-there"))
    (step,) = json.loads(plan_json(plan_of([V23], KNOWN, Ledger(), account=view)))["steps"]
    assert (step["action"], step["omi"]) == ("adopt", "ami-there")
