"""Images for BIOS and for both ways of booting, side by side, with a plugin that knows no boot modes.

`up` verifies them on virtio-scsi, the one for both in each mode. An image for UEFI alone is in test_every_key, which
boots it from virtio-blk. The tests of this module are one story and run in their order.
"""

from __future__ import annotations

import pytest
import yaml

from omi.verify.facts import Facts
from tests.e2e.project import Project

pytestmark = pytest.mark.slow

SCSI_TYPE = "tinav7.c1r1p2"
MODES = {"bios": ["legacy"], "hybrid": ["legacy", "uefi"]}


def test_up_builds_both_and_verifies_each_by_its_firmware_on_virtio_scsi(project: Project) -> None:
    path = project.folder / "profiles" / "alpine.yaml"
    builds = {name: {"version": "3.23", "suffix": f"-{name}", "firmware": name} for name in MODES}
    path.write_text(yaml.safe_dump({"builds": builds}), encoding="utf-8")
    stack = yaml.safe_load((project.folder / "stacks" / "Pulumi.e2e.yaml").read_text(encoding="utf-8"))
    project.configure("vm", {**stack["config"]["alpine-omi:vm"], "verify_vm_type": SCSI_TYPE})
    project.control("root-buses", {SCSI_TYPE: "virtio-scsi"}, "PUT")
    assert project.pulumi("stack", "init", "e2e").code == 0
    done = project.up()
    assert done.code == 0, done.text
    latest = project.outputs()["latest"]
    images = project.oapi().call("ReadImages", Filters={"ImageIds": [image["omi"] for image in latest.values()]})[
        "Images"
    ]
    assert {each["ImageName"]: sorted(each["BootModes"]) for each in images} == {
        f"alpine-3.23.6-x86_64-r0-{name}": modes for name, modes in MODES.items()
    }
    own = project.inventory()["main"]["resources"]["image"]
    assert len(own) == 2, "what Packer registered under working names is gone"
    calls = [call["request"] for call in project.control("calls") if call["action"] == "CreateVms"]
    assert sorted(call["BootMode"] for call in calls if call.get("BootMode")) == ["legacy", "uefi"]


def test_both_were_seen_on_virtio_scsi(project: Project) -> None:
    logs = {path.parent.name: path.read_text(encoding="utf-8") for path in project.folder.glob("build/**/build.log")}
    seen = {name: Facts.parse(text).values["root_device"] for name, text in logs.items()}
    assert seen == {
        "alpine-3.23.6-x86_64-r0-bios": ("/dev/sda",),
        "alpine-3.23.6-x86_64-r0-hybrid": ("/dev/sda2", "/dev/sda2"),
    }


def test_the_releases_name_their_boot_modes(project: Project) -> None:
    listed = yaml.safe_load((project.folder / "releases" / "sandbox" / "alpine.yaml").read_text(encoding="utf-8"))
    told = {build: image["boot_modes"] for build in listed for image in listed[build]["3.23.6"].values()}
    assert told == MODES


def test_nothing_changes_by_itself_and_destroy_leaves_nothing(project: Project) -> None:
    shown = project.pulumi("up", "--yes", "--skip-preview", "--expect-no-changes", "-s", "e2e")
    assert shown.code == 0, shown.text
    assert project.pulumi("destroy", "--yes", "--skip-preview", "-s", "e2e").code == 0
    assert project.inventory()["main"]["resources"]["image"] == []
