"""From nothing to two images in parallel, no change, a restart, a prune, and back to nothing; all parts are real.

The older branch's image boots by BIOS and keeps its clock by busybox's ntpd, the newer one's boots both ways and has
chrony; one for UEFI alone is in test_every_key. The tests of this module are one story and run in their order.
"""

from __future__ import annotations

import hashlib
import json
import signal
import urllib.request
from collections.abc import Mapping
from urllib.parse import urlsplit

import pytest
import yaml
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator

from omi.state.image import BuildVm
from omi.state.owner import CLAIM, VERIFIED, VERIFIED_MARK
from omi.verify.facts import Facts
from tests.e2e.project import Project, own
from tests.sandbox.client import wait_for

pytestmark = pytest.mark.slow

OLD, NEW = "v3_22-x86_64", "v3_23-x86_64"
TIME_SERVER = "192.0.2.123"
BOTH_MODES = ["legacy", "uefi"]
HYBRID = {
    "version": "3.23",
    "arch": "x86_64",
    "firmware": "hybrid",
    "packages": {"chrony": True},
    "services": {"default": {"ntpd": False, "chronyd": True}},
    "ntp_servers": {TIME_SERVER: True},
}


def from_mirror(project: Project, url: str) -> bytes:
    """What the mirror serves there now; the build VM reaches it by another address."""
    here = f"http://127.0.0.1:{project.base_port + 2}{urlsplit(url).path}"
    with urllib.request.urlopen(here, timeout=30) as answer:
        content: bytes = answer.read()
    return content


@pytest.fixture(scope="module")
def before(project: Project) -> dict[str, list[str]]:
    return own(project.inventory())


def test_a_preview_says_what_would_be_built_and_why_and_changes_nothing(
    project: Project, before: dict[str, list[str]]
) -> None:
    project.edit_profile(NEW, HYBRID)
    assert project.pulumi("stack", "init", "e2e").code == 0
    shown = project.pulumi("preview", "-s", "e2e")
    assert shown.code == 0, shown.end
    for line in ("alpine-3.22.6-x86_64-r0", "alpine-3.23.6-x86_64-r0", f"first image of {NEW}"):
        assert line in shown.text
    assert own(project.inventory()) == before
    assert not (project.folder / "build").exists()


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGKILL])
def test_an_update_that_is_interrupted_leaves_nothing_in_the_account(
    project: Project, before: dict[str, list[str]], how: signal.Signals
) -> None:
    running = project.begin("pulumi", "up", "--yes", "--skip-preview", "--non-interactive", "-s", "e2e")
    wait_for(lambda: own(project.inventory()), lambda account: bool(account["vm"]), limit=120)
    running.send_signal(how)
    assert running.wait(timeout=120) != 0
    wait_for(lambda: own(project.inventory()), lambda account: account == before, limit=120)
    if how is signal.SIGKILL:  # the engine had no chance to give its lock back
        assert project.pulumi("cancel", "--yes", "e2e").code == 0


def seen(project: Project) -> dict[str, Mapping[str, tuple[str, ...]]]:
    """What each verify of an image saw in it, by name."""
    logs = {path.parent.name: path.read_text(encoding="utf-8") for path in project.folder.glob("build/**/build.log")}
    return {name: Facts.parse(text).values for name, text in logs.items()}


def test_up_builds_and_verifies_two_images_side_by_side(project: Project, before: dict[str, list[str]]) -> None:
    """They boot from virtio-scsi, by a plugin that knows no boot modes; one is verified on virtio-blk, too, below."""
    project.control("root-buses", {BuildVm().verify_vm_type: "virtio-scsi"}, "PUT")
    done = project.pulumi("up", "--yes", "--skip-preview", "-s", "e2e")
    assert done.code == 0, done.end
    latest = project.outputs()["latest"]
    assert set(latest) == {OLD, NEW}
    assert latest[NEW]["name"] == "alpine-3.23.6-x86_64-r0"
    account = own(project.inventory())
    assert account["image"] == sorted(image["omi"] for image in latest.values())
    assert account["snapshot"] == sorted(snapshot for image in latest.values() for snapshot in image["snapshots"])
    # and of the builds themselves nothing is left
    left = {kind: set(ids) - set(before.get(kind, [])) for kind, ids in account.items()}
    assert {kind for kind, ids in left.items() if ids} == {"image", "snapshot"}
    saw = seen(project)
    assert saw[latest[OLD]["name"]]["root_device"] == ("/dev/sda",)
    assert saw[latest[NEW]["name"]]["root_device"] == ("/dev/sda2", "/dev/sda2"), "once in each mode"


def test_an_image_for_both_firmwares_was_verified_in_each_mode_and_has_them(project: Project) -> None:
    image = project.outputs()["latest"][NEW]
    (shown,) = project.oapi().call("ReadImages", Filters={"ImageIds": [image["omi"]]})["Images"]
    assert sorted(shown["BootModes"]) == BOTH_MODES
    calls = [call["request"] for call in project.control("calls") if call["action"] == "CreateVms"]
    assert sorted(call["BootMode"] for call in calls if call.get("BootMode")) == BOTH_MODES
    listed = yaml.safe_load((project.folder / "releases" / "sandbox" / "alpine.yaml").read_text(encoding="utf-8"))
    assert listed[image["release"]][NEW][image["name"]]["boot_modes"] == BOTH_MODES


def test_its_clock_is_set_by_chrony_and_the_profiles_server_alone(project: Project) -> None:
    saw = seen(project)[project.outputs()["latest"][NEW]["name"]]
    told = {line for line in saw["time_server"] if "chrony" in line}  # busybox's ntpd, which doesn't run, has its own
    assert told == {f"{TIME_SERVER} /etc/chrony/chrony.conf"}
    services = {tuple(line.split()[1:3]) for line in saw["service"]}
    assert ("chronyd", "started") in services
    assert "ntpd" not in {name for name, _ in services}


def test_the_releases_name_them(project: Project) -> None:
    latest = project.outputs()["latest"]
    folder = project.folder / "releases" / "sandbox"
    listed = yaml.safe_load((folder / "alpine.yaml").read_text(encoding="utf-8"))
    assert listed["3.23.6"][NEW]["alpine-3.23.6-x86_64-r0"]["artifacts"] == {"eu-west-2": latest[NEW]["omi"]}
    readme = (folder / "README.md").read_text(encoding="utf-8")
    assert all(image["omi"] in readme for image in latest.values())


def test_what_went_into_each_is_written_out_beside_them(project: Project) -> None:
    folder = project.folder / "releases" / "sandbox"
    listed = yaml.safe_load((folder / "alpine.yaml").read_text(encoding="utf-8"))
    for build, image in project.outputs()["latest"].items():
        name = image["name"]
        entry = listed[image["release"]][build][name]
        files = {
            kind: folder / "alpine" / "eu-west-2" / f"{name}{ending}"
            for kind, ending in {
                "files": ".files.txt",
                "packages": ".packages.txt",
                "provenance": ".provenance.json",
                "sbom": ".cdx.json",
            }.items()
        }
        told = {kind: f"sha256:{hashlib.sha256(file.read_bytes()).hexdigest()}" for kind, file in files.items()}
        assert entry["documents"] == {"eu-west-2": told}
        assert "\nmusl\t" in files["packages"].read_text(encoding="utf-8")
        sbom = files["sbom"].read_text(encoding="utf-8")
        assert JsonStrictValidator(SchemaVersion.V1_6).validate_str(sbom) is None
        assert len(json.loads(sbom)["components"]) > 40
        provenance = json.loads(files["provenance"].read_text(encoding="utf-8"))
        assert provenance["image"]["omi"] == image["omi"]
        assert provenance["source_omi"]["omi"].startswith("ami-")
        assert [index["digest"] for index in provenance["indexes"]] == [
            f"sha256:{hashlib.sha256(from_mirror(project, index['url'])).hexdigest()}"
            for index in provenance["indexes"]
        ]
        assert len(provenance["indexes"]) == 2
        looked = (project.folder / "build" / "e2e" / name / "build.log").read_text(encoding="utf-8")
        assert f'omi_release=DIGEST="{image["digest"]}"' in looked, "what the verify read in the running image"
        assert provenance["tools"].keys() == {"pulumi", "packer", "packer-plugin-outscale", "apk-tools"}
        assert "unknown" not in provenance["tools"].values()


def test_regenerating_them_from_the_stack_gives_the_same_bytes(project: Project) -> None:
    folder = project.folder / "releases" / "sandbox"
    written = {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    for path in written:
        path.unlink()
    done = project.run("python3", "-m", "omi", "publish", "-s", "e2e")
    assert done.code == 0, done.end
    assert {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()} == written


def test_state_and_logs_hold_no_secret(project: Project) -> None:
    secrets = {entry["secret_key"] for entry in json.loads((project.home / "osc.json").read_text()).values()}
    places = [*(project.folder / "backend").rglob("*.json"), *(project.folder / "build").rglob("*")]
    texts = [path.read_text(encoding="utf-8", errors="replace") for path in places if path.is_file()]
    assert texts
    assert not [secret for secret in secrets for text in texts if secret in text]
    assert not [text for text in texts if "PRIVATE KEY" in text]


def test_a_second_up_changes_nothing_also_after_the_cloud_was_restarted(project: Project) -> None:
    assert project.sandbox("stop").code == 0
    assert project.sandbox("start", "--mirror", "fixture").code == 0
    shown = project.pulumi("up", "--yes", "--skip-preview", "--expect-no-changes", "-s", "e2e")
    assert shown.code == 0, shown.end


def test_an_image_that_its_run_could_not_record_is_found_and_verified(project: Project) -> None:
    before = project.outputs()["latest"][OLD]
    project.control("root-buses", {}, "PUT")
    state = json.loads(project.pulumi("stack", "export", "-s", "e2e").text)["deployment"]["resources"]
    urn = next(one["urn"] for one in state if one["urn"].endswith(f"::{before['name']}"))
    assert project.pulumi("state", "delete", urn, "--yes", "-s", "e2e").code == 0
    oapi, (image,) = project.oapi(), [each for each in project.images() if each["id"] == before["omi"]]
    tags = [{"Key": key, "Value": image["tags"][key]} for key in (VERIFIED, CLAIM)]
    oapi.call("DeleteTags", ResourceIds=[before["omi"]], Tags=tags)
    described = oapi.call("ReadImages", Filters={"ImageIds": [before["omi"]]})["Images"][0]["Description"]
    oapi.call("UpdateImage", ImageId=before["omi"], Description=described.replace(VERIFIED_MARK, ""))
    step = project.plan()[before["name"]]
    assert step["action"] == "adopt"
    assert "this stack's own, from an interrupted run" in step["reason"]
    done = project.up()
    assert done.code == 0, done.end
    assert "was built by a run that did not record it: verifying it" in done.text
    assert seen(project)[before["name"]]["root_device"] == ("/dev/sda", "/dev/vda")
    assert project.outputs()["latest"][OLD]["omi"] == before["omi"]
    assert project.plan()[before["name"]]["action"] == "keep"


def test_taking_a_build_out_shows_its_prune_and_prunes_it(project: Project) -> None:
    gone = project.outputs()["latest"][OLD]
    project.edit_profile(OLD, None)
    shown = project.pulumi("preview", "-s", "e2e")
    assert shown.code == 0, shown.end
    assert "removed from profile" in shown.text
    assert gone["omi"] in own(project.inventory())["image"]
    done = project.pulumi("up", "--yes", "--skip-preview", "-s", "e2e")
    assert done.code == 0, done.end
    account = own(project.inventory())
    assert gone["omi"] not in account["image"]
    assert not set(gone["snapshots"]) & set(account["snapshot"])
    assert set(project.outputs()["latest"]) == {NEW}
    assert not list((project.folder / "releases" / "sandbox").rglob(f"{gone['name']}.*"))
    for name in ("alpine.yaml", "README.md"):
        assert gone["omi"] not in (project.folder / "releases" / "sandbox" / name).read_text(encoding="utf-8")


def test_destroy_leaves_the_account_as_it_was(project: Project, before: dict[str, list[str]]) -> None:
    done = project.pulumi("destroy", "--yes", "--skip-preview", "-s", "e2e")
    assert done.code == 0, done.end
    assert own(project.inventory()) == before
