"""The doctor's findings and a plan's needs, without a stack."""

from __future__ import annotations

import threading

from omi.cli.findings import Doubt, Severity, find, known
from omi.cli.needs import lacking, needs
from omi.outscale.quotas import CloudQuota
from omi.plan import PlannedImage
from omi.support.errors import CloudError
from tests.omi.specs import make_spec


def raising(error: Exception) -> str:
    raise error


def test_whatever_a_check_raises_is_one_line_without_a_login() -> None:
    finding = find("mirror", None, 5, lambda: raising(RuntimeError("http://me:hush@host/\nfailed")))
    assert (finding.level, finding.text) == (Severity.ERROR, "unexpected RuntimeError: http://host/ failed")
    assert find("a", None, 5, lambda: raising(CloudError("no way"))).level is Severity.ERROR
    assert find("a", None, 5, lambda: raising(Doubt("perhaps"))).level is Severity.WARNING
    assert find("a", None, 5, lambda: known(None, "plan")).text == "not checked: see plan"


def test_a_check_that_hangs_is_given_up() -> None:
    finding = find("rights", "eu-west-2", 0.05, lambda: str(threading.Event().wait(2)))
    assert finding.level is Severity.ERROR
    assert finding.text.startswith("no result within 0 s; check the network")


def image(size: int) -> PlannedImage:
    build = make_spec().target.model_copy(update={"volume_size": size})
    return PlannedImage(build, "3.23.6", 0, "sha256:0")


def test_a_plan_needs_as_much_as_it_makes_at_once() -> None:
    wanted = needs([image(1), image(4), image(2)], 2, 10)
    assert wanted["vm_limit"] == 2
    assert wanted["volume_limit"] == 4
    assert wanted["volume_size_limit"] == 14 + 12, "the two largest, each with the source's root beside its own"
    assert wanted["snapshot_limit"] == wanted["image_limit"] == 3
    assert set(needs([], 0, 10).values()) == {0}


def test_only_a_quota_without_enough_room_is_named() -> None:
    quotas = [
        CloudQuota(name="vm_limit", used=4, most=5),
        CloudQuota(name="image_limit"),
        CloudQuota(name="lb_limit", used=1, most=1),
    ]
    assert lacking({"vm_limit": 1, "image_limit": 9}, quotas) == []
    assert lacking({"vm_limit": 2}, quotas) == ["vm_limit (4 of 5) has room for 1 more, 2 are needed"]
