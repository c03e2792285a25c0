"""An image for both ways of booting, with a plugin that knows no boot modes.

`up` verifies it on virtio-scsi, in each mode. An image for UEFI alone is in test_every_key, those for BIOS alone are in
test_whole_way. The tests of this module are one story and run in their order.
"""

from __future__ import annotations

import pytest
import yaml

from omi.verify.facts import Facts
from tests.e2e.project import Project

pytestmark = pytest.mark.slow

SCSI_TYPE = "tinav7.c1r1p2"
MODES = ["legacy", "uefi"]


def test_up_builds_it_and_verifies_it_in_each_mode_on_virtio_scsi(project: Project) -> None:
    path = project.folder / "profiles" / "alpine.yaml"
    build = {"version": "3.23", "suffix": "-hybrid", "firmware": "hybrid"}
    path.write_text(yaml.safe_dump({"builds": {"hybrid": build}}), encoding="utf-8")
    stack = yaml.safe_load((project.folder / "stacks" / "Pulumi.e2e.yaml").read_text(encoding="utf-8"))
    project.configure("vm", {**stack["config"]["alpine-omi:vm"], "verify_vm_type": SCSI_TYPE})
    project.control("root-buses", {SCSI_TYPE: "virtio-scsi"}, "PUT")
    assert project.pulumi("stack", "init", "e2e").code == 0
    done = project.up()
    assert done.code == 0, done.text
    (own,) = project.inventory()["main"]["resources"]["image"]  # what Packer registered under a working name is gone
    (image,) = project.oapi().call("ReadImages", Filters={"ImageIds": [own["id"]]})["Images"]
    assert (image["ImageName"], sorted(image["BootModes"])) == ("alpine-3.23.6-x86_64-r0-hybrid", MODES)
    assert project.outputs()["latest"]["hybrid"]["omi"] == own["id"]
    calls = [call["request"] for call in project.control("calls") if call["action"] == "CreateVms"]
    assert sorted(call["BootMode"] for call in calls if call.get("BootMode")) == MODES


def test_it_was_seen_on_virtio_scsi_in_each_mode(project: Project) -> None:
    (log,) = project.folder.glob("build/**/build.log")
    assert Facts.parse(log.read_text(encoding="utf-8")).values["root_device"] == ("/dev/sda2", "/dev/sda2")


def test_the_releases_name_its_boot_modes(project: Project) -> None:
    listed = yaml.safe_load((project.folder / "releases" / "sandbox" / "alpine.yaml").read_text(encoding="utf-8"))
    (image,) = listed["hybrid"]["3.23.6"].values()
    assert image["boot_modes"] == MODES


def test_nothing_changes_by_itself_and_destroy_leaves_nothing(project: Project) -> None:
    shown = project.pulumi("up", "--yes", "--skip-preview", "--expect-no-changes", "-s", "e2e")
    assert shown.code == 0, shown.text
    assert project.pulumi("destroy", "--yes", "--skip-preview", "-s", "e2e").code == 0
    assert project.inventory()["main"]["resources"]["image"] == []
