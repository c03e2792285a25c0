"""An account for the domain's tests: the local cloud in this process, and a Packer that does as it is told."""

from __future__ import annotations

import os
import shutil
import stat
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import pytest

from omi.outscale.client import Cloud
from omi.state.image import BuildVm, CloudAccess, ImageSpec
from tests.omi.specs import make_access, make_spec
from tests.openapi import check_request
from tests.sandbox.client import Oapi, Sandbox, empty_volume, register, settings_for, snapshot

TOP = Path(__file__).resolve().parents[2]
FAKE_PACKER = Path(__file__).with_name("build") / "fake_packer.sh"
PROFILE = "main"
"""The account of the local cloud that a test works on."""
OTHER_PROFILE = "second"
"""Another one of the same Region."""
_LEAVING = {"shutting-down", "deleting"}


@dataclass(frozen=True)
class Account:
    """One account of the local cloud, as the project reaches it and as a test looks into it."""

    sandbox: Sandbox
    access: CloudAccess
    cloud: Cloud

    @cached_property
    def id(self) -> str:
        """Its number."""
        return self.sandbox.account_id(PROFILE)

    @cached_property
    def other_id(self) -> str:
        """The number of another account."""
        return self.sandbox.account_id(OTHER_PROFILE)

    @property
    def oapi(self) -> Oapi:
        """The plain client."""
        return self.sandbox.oapi(PROFILE)

    def spec(self, **changes: Any) -> ImageSpec:
        """A spec of an image in this account."""
        vm = BuildVm(ssh_port=2222, timeout=60)
        return make_spec(**{"cloud": self.access, "vm": vm, **changes})

    def register(
        self, name: str, description: str = "", tags: dict[str, str] | None = None, boot_modes: tuple[str, ...] = ()
    ) -> str:
        """An OMI of this account over a snapshot of its own."""
        oapi = self.oapi
        volume = empty_volume(oapi)
        modes = {"BootModes": list(boot_modes)} if boot_modes else {}
        image = register(oapi, name, snapshot(oapi, volume), Description=description, **modes)
        oapi.call("DeleteVolume", VolumeId=volume)
        if tags:
            oapi.call("CreateTags", ResourceIds=[image], Tags=[{"Key": key, "Value": tags[key]} for key in tags])
        return image

    def image(self, omi: str) -> dict[str, Any]:
        """It as the API shows it."""
        found: dict[str, Any] = self.oapi.call("ReadImages", Filters={"ImageIds": [omi]})["Images"][0]
        return found

    def tags(self, omi: str) -> dict[str, str]:
        """Those of an OMI."""
        return {tag["Key"]: tag["Value"] for tag in self.image(omi)["Tags"]}

    def launchers(self, omi: str) -> set[str]:
        """Account ids, and `all`."""
        permissions = self.image(omi)["PermissionsToLaunch"]
        return {*permissions["AccountIds"], *(["all"] if permissions["GlobalPermission"] else [])}

    def left(self) -> dict[str, list[str]]:
        """Everything of a build that is there and not on its way out, by kind; snapshots of images are not told."""
        held = self.sandbox.control("GET", "inventory")[PROFILE]["resources"]
        used = {
            each["Bsu"]["SnapshotId"]
            for image in self.oapi.call("ReadImages", Filters={"AccountIds": [self.id]})["Images"]
            for each in image["BlockDeviceMappings"]
        }
        found = {
            kind: [each["id"] for each in resources if each["id"] not in used and each.get("state") not in _LEAVING]
            for kind, resources in held.items()
        }
        return {kind: ids for kind, ids in found.items() if ids}


@pytest.fixture(autouse=True)
def specified(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every request that the program sends is one of OUTSCALE's specification."""
    post = Cloud._post

    def checked(self: Cloud, action: str, parameters: Any) -> Any:
        check_request(action, parameters)
        return post(self, action, parameters)

    monkeypatch.setattr(Cloud, "_post", checked)


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is tried or looked at again is so at once; the sandbox and the fake Packer need no longer."""
    monkeypatch.setattr("omi.build.packer.runner.EVERY", 0.02)
    monkeypatch.setattr("omi.build.packer.runner.ASK_EVERY", 0.05)
    monkeypatch.setattr("omi.outscale.busy.EVERY", 0.02)
    monkeypatch.setattr("omi.outscale.client.FIRST_PAUSE", 0.01)
    monkeypatch.setattr("omi.outscale.transfer.EVERY", 0.02)
    monkeypatch.setattr("omi.build.leftovers.AGAIN_AFTER", 0.01)
    monkeypatch.setattr("omi.build.packer.maker.AGAIN_AFTER", 0.01)


@pytest.fixture
def account(
    tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch, impatient: None, boto3_read_once: None
) -> Iterator[Account]:
    """An empty account; its keys are in the environment."""
    sandbox = Sandbox(settings_for(tmp_path_factory.mktemp("cloud")))
    try:
        known = sandbox.profiles[PROFILE]
        monkeypatch.setenv("OSC_ACCESS_KEY", known["access_key"])
        monkeypatch.setenv("OSC_SECRET_KEY", known["secret_key"])
        access = make_access(
            region=known["region"],
            api=known["endpoints"]["api"],
            ca_file=str(sandbox.settings.ca_file),
        )
        yield Account(sandbox, access, Cloud.connect(access))
    finally:
        sandbox.close()


@dataclass(frozen=True)
class FakePacker:
    """A folder with a program called packer; its mode says how the next run goes."""

    folder: Path

    @property
    def environ(self) -> dict[str, str]:
        """The environment in which it is found."""
        return {**os.environ, "PATH": f"{self.folder}:{os.environ['PATH']}"}

    def behave(self, mode: str) -> None:
        """`good`, `busy` (a 503 kills the first run), `always busy`,
        `greedy` (a call that no build needs), `fail`,
        `half` (an OMI without tags, then it fails), `leaky`, `hang`, `deaf` (to SIGTERM),
        `lost`, `mute` (of what is installed).
        """
        (self.folder / "mode").write_text(mode)

    def has_plugin(self, version: str) -> None:
        """The OUTSCALE plugin that it says it has."""
        (self.folder / "plugin").write_text(version)


def _write_program(path: Path, text: str) -> None:
    path.write_text(text)
    path.chmod(path.stat().st_mode | stat.S_IXUSR)


@pytest.fixture
def packer(tmp_path: Path, account: Account) -> FakePacker:
    """A Packer in whose place `fake_packer.sh` and `.py` work on the account."""
    folder = tmp_path / "bin"
    folder.mkdir()
    _write_program(folder / "packer", FAKE_PACKER.read_text())
    (folder / "fake_packer.py").write_text(FAKE_PACKER.with_suffix(".py").read_text())
    (folder / "python").symlink_to(sys.executable)
    _write_program(folder / "pulumi", "#!/bin/sh\necho v3.259.0\n")  # the real one takes a second to say it
    (folder / "project").write_text(str(TOP))
    fake = FakePacker(folder)
    fake.behave("good")
    fake.has_plugin("1.6.1")
    return fake


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """`profiles` below a working folder, without target profiles; relative, as a person calls it."""
    for folder in ("base", "version", "arch", "keys"):
        shutil.copytree(TOP / "profiles" / folder, tmp_path / "profiles" / folder)
    monkeypatch.chdir(tmp_path)
    return Path("profiles")
