"""profiles/test.yaml, which uses every key, built once by a real `pulumi up`: what each key does in the booted image.

That the image is there at all says that the verify found every key's effect (omi/verify/checks). Here the facts that it
saw are read again and held against what a person expects of the profile, and the disk itself is looked into.
"""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from omi.verify.facts import Facts
from sandbox.config import Addresses
from tests.e2e.project import Project
from tests.sandbox.client import Oapi

pytestmark = pytest.mark.slow

BUILD, NAME = "v3_23-x86_64", "linux-x86_64-3.23.6-r0-test"
SHARED = "123456789012"
CDN = "https://dl-cdn.alpinelinux.org/alpine"
MOTD = """\
Alpine Linux for the tests of its profiles.

  Nothing here is for use: $HOME, `id` and "quotes" are text.
"""


def api_of(project: Project, account: str) -> Oapi:
    """What one of the sandbox's accounts sees."""
    keys = json.loads((project.home / "osc.json").read_text(encoding="utf-8"))[account]
    return Oapi(keys, Addresses(project.base_port), project.home / "ca.pem")


@pytest.fixture(scope="module")
def image(project: Project) -> dict[str, Any]:
    """The image, after the one build of this module; it is shared with the sandbox's second account."""
    second = str(api_of(project, "second").call("ReadAccounts")["Accounts"][0]["AccountId"])
    profile = project.folder / "profiles" / "test.yaml"
    text = profile.read_text(encoding="utf-8")
    assert SHARED in text
    profile.write_text(text.replace(SHARED, second), encoding="utf-8")
    project.configure("profile", "test")
    assert project.pulumi("stack", "init", "e2e").code == 0
    done = project.up()
    assert done.code == 0, done.end
    latest = project.outputs()["latest"]
    assert set(latest) == {BUILD}, "discover added nothing"
    made: dict[str, Any] = latest[BUILD]
    return made


@pytest.fixture(scope="module")
def facts(project: Project, image: dict[str, Any]) -> Facts:
    """What was seen in the booted image."""
    (log,) = (project.folder / "build").rglob("build.log")
    seen = Facts.parse(log.read_text(encoding="utf-8"))
    assert seen.one("end") == "yes", image
    return seen


@pytest.fixture(scope="module")
def disk(project: Project, image: dict[str, Any], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The image's disk as it came out of the build, raw."""
    (snapshot,) = image["snapshots"]
    raw = tmp_path_factory.mktemp("disk") / "raw"
    kept = project.home / "snapshots" / f"{snapshot}.qcow2"
    subprocess.run(["qemu-img", "convert", "-O", "raw", str(kept), str(raw)], check=True, timeout=120)
    return raw


def read(disk: Path, path: str) -> str:
    """A file of the root filesystem, which is in the second partition; empty where there is none."""
    table = subprocess.run(["sfdisk", "--json", str(disk)], capture_output=True, check=True, timeout=60).stdout
    _esp, root = json.loads(table)["partitiontable"]["partitions"]
    command = ["debugfs", "-R", f"cat {path}", f"{disk}?offset={root['start'] * 512}"]
    return subprocess.run(command, capture_output=True, text=True, check=True, timeout=60).stdout


def test_name_description_and_size(project: Project, image: dict[str, Any]) -> None:
    assert image["name"] == NAME
    assert image["volume_size"] == 2
    listed = yaml.safe_load((project.folder / "releases/sandbox/test.yaml").read_text(encoding="utf-8"))
    assert listed["3.23.6"][BUILD][NAME]["description"] == "Alpine Linux, every key of a profile: 3.23.6 r0, for tests"


def test_access(project: Project, image: dict[str, Any]) -> None:
    (seen,) = api_of(project, "second").call("ReadImages", Filters={"ImageIds": [image["omi"]]})["Images"]
    assert seen["ImageName"] == NAME
    assert not api_of(project, "main").call("ReadImages", Filters={"ImageIds": [image["omi"]]})["Images"][0][
        "PermissionsToLaunch"
    ]["GlobalPermission"]


def test_it_boots_by_uefi_from_virtio_blk(facts: Facts) -> None:
    assert facts.one("boot_mode") == "uefi"
    assert facts.one("root_device") == "/dev/vda2"
    assert facts.values["fstab"] == ("/ ext4", "/boot/efi vfat")


def test_its_size_and_its_packages_are_measured(facts: Facts) -> None:
    assert facts.number("used_bytes")
    assert facts.number("installed_bytes")


def test_user_and_root_rights(facts: Facts, disk: Path) -> None:
    assert facts.one("user") == "tester"
    assert facts.one("groups") == "tester wheel"
    assert facts.values["becomes_root"] == ("sudo",)
    assert read(disk, "/etc/sudoers.d/wheel") == "%wheel ALL=(ALL) NOPASSWD: ALL\n"


def test_repositories_keys_and_packages(facts: Facts) -> None:
    assert facts.values["apk_repository"] == (
        f"@edge {CDN}/edge/main",
        f"#{CDN}/edge/testing",
        f"{CDN}/v3.23/main",
    )
    assert sorted(line.split(".")[2].partition("-")[2] for line in facts.values["apk_key"]) == ["5261cecb", "6165ee59"]
    world, installed = set(facts.values["world"]), {line.partition("=")[0] for line in facts.installed}
    assert {"ca-certificates-bundle@edge", "curl>8", "sudo", "linux-virt"} <= world
    assert {"ca-certificates-bundle", "curl", "sudo"} <= installed
    assert not {"mtools", "tzdata", "doas"} & (world | installed)


def test_services(facts: Facts) -> None:
    services = {line.split()[1]: line.split()[2] for line in facts.values["service"]}
    assert services["ntpd"] == services["omi-test"] == "started"
    assert services["sysctl"] == "started"
    assert not {"crond", "dmesg"} & set(services), "taken away by null and by false"


def test_what_may_listen_does(facts: Facts) -> None:
    local = [line.split()[1].rpartition(":")[2] for line in facts.values["socket"] if line.startswith("udp")]
    assert f"{123:04X}" in local, "ntpd serves the time, as the setup script told it"


def test_kernel(facts: Facts) -> None:
    words = facts.one("kernel_command_line").split()
    assert "panic=10" in words
    assert "loglevel=5" not in words
    (modules,) = [word for word in words if word.startswith("modules=")]
    assert "loop" in modules
    assert "dm-mod" not in modules
    assert {"squashfs", "ext4"} <= set(facts.one("initfs_features").split())
    assert "cdrom" not in facts.one("initfs_features")


def test_text_zone_time_and_parameters(facts: Facts, disk: Path) -> None:
    assert read(disk, "/etc/motd") == MOTD
    assert "timezone Europe/Paris" in facts.values["setting"]
    assert facts.one("local_clock").split()[1] in {"+0100", "+0200"}
    assert facts.values["time_server"] == ("0.pool.ntp.org /etc/ntp.conf",)
    seen = dict(line.split(" ", 1) for line in facts.values["sysctl"])
    assert seen.keys() == {"net.ipv4.ip_forward", "net.ipv4.tcp_rmem"}, "vm.swappiness was taken away"
    assert seen["net.ipv4.ip_forward"] == "1"
    assert seen["net.ipv4.tcp_rmem"].split() == ["4096", "131072", "6291456"]


def test_the_setup_script_ran_among_its_files(disk: Path) -> None:
    assert read(disk, "/etc/omi-test-marker") == "profiles/setup/test.sh was here.\nand its folder, too.\n"


def test_what_apk_installed_is_known_for_rebuilds(project: Project) -> None:
    plan = project.plan()
    assert plan[NAME]["action"] == "keep"
    shown = project.pulumi("preview", "-s", "e2e", "--expect-no-changes")
    assert shown.code == 0, shown.end
