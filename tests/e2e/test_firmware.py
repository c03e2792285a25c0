"""An image for both ways of booting, with a plugin that knows no boot modes, and with chrony instead of busybox's ntpd.

`up` verifies it on virtio-scsi, in each mode. An image for UEFI alone is in test_every_key, those for BIOS alone are in
test_whole_way. The tests of this module are one story and run in their order.
"""

from __future__ import annotations

from collections.abc import Mapping

import pytest
import yaml

from omi.verify.facts import Facts
from tests.e2e.project import Project

pytestmark = pytest.mark.slow

SCSI_TYPE = "tinav7.c1r1p2"
MODES = ["legacy", "uefi"]
TIME_SERVER = "192.0.2.123"


def test_up_builds_it_and_verifies_it_in_each_mode_on_virtio_scsi(project: Project) -> None:
    path = project.folder / "profiles" / "alpine.yaml"
    clock = {
        "packages": {"chrony": True},
        "services": {"default": {"ntpd": False, "chronyd": True}},
        "ntp_servers": {TIME_SERVER: True},
    }
    build = {"version": "3.23", "suffix": "-hybrid", "firmware": "hybrid", **clock}
    path.write_text(yaml.safe_dump({"builds": {"hybrid": build}}), encoding="utf-8")
    stack = yaml.safe_load((project.folder / "stacks" / "Pulumi.e2e.yaml").read_text(encoding="utf-8"))
    project.configure("vm", {**stack["config"]["alpine-omi:vm"], "verify_vm_type": SCSI_TYPE})
    project.control("root-buses", {SCSI_TYPE: "virtio-scsi"}, "PUT")
    assert project.pulumi("stack", "init", "e2e").code == 0
    done = project.up()
    assert done.code == 0, done.end
    (own,) = project.inventory()["main"]["resources"]["image"]  # what Packer registered under a working name is gone
    (image,) = project.oapi().call("ReadImages", Filters={"ImageIds": [own["id"]]})["Images"]
    assert (image["ImageName"], sorted(image["BootModes"])) == ("alpine-3.23.6-x86_64-r0-hybrid", MODES)
    assert project.outputs()["latest"]["hybrid"]["omi"] == own["id"]
    calls = [call["request"] for call in project.control("calls") if call["action"] == "CreateVms"]
    assert sorted(call["BootMode"] for call in calls if call.get("BootMode")) == MODES


@pytest.fixture
def seen(project: Project) -> Mapping[str, tuple[str, ...]]:
    """What was found on the booted image, in each mode."""
    (log,) = project.folder.glob("build/**/build.log")
    return Facts.parse(log.read_text(encoding="utf-8")).values


def test_it_was_seen_on_virtio_scsi_in_each_mode(seen: Mapping[str, tuple[str, ...]]) -> None:
    assert seen["root_device"] == ("/dev/sda2", "/dev/sda2")


def test_its_clock_is_set_by_chrony_and_the_profiles_server_alone(seen: Mapping[str, tuple[str, ...]]) -> None:
    told = {line for line in seen["time_server"] if "chrony" in line}  # busybox's ntpd, which doesn't run, has its own
    assert told == {f"{TIME_SERVER} /etc/chrony/chrony.conf"}
    services = {tuple(line.split()[1:3]) for line in seen["service"]}
    assert ("chronyd", "started") in services
    assert "ntpd" not in {name for name, _ in services}


def test_the_releases_name_its_boot_modes(project: Project) -> None:
    listed = yaml.safe_load((project.folder / "releases" / "sandbox" / "alpine.yaml").read_text(encoding="utf-8"))
    (image,) = listed["3.23.6"]["hybrid"].values()
    assert image["boot_modes"] == MODES


def test_nothing_changes_by_itself_and_destroy_leaves_nothing(project: Project) -> None:
    shown = project.pulumi("up", "--yes", "--skip-preview", "--expect-no-changes", "-s", "e2e")
    assert shown.code == 0, shown.end
    assert project.pulumi("destroy", "--yes", "--skip-preview", "-s", "e2e").code == 0
    assert project.inventory()["main"]["resources"]["image"] == []
