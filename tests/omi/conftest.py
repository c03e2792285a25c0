"""An account for the domain's tests: an EC2-shaped server on this machine, and a Packer that does as it is told."""

from __future__ import annotations

import json
import os
import stat
import sys
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import boto3
import pytest
import requests

from omi.image import BuildVm, CloudAccess, ImageSpec
from omi.outscale.cloud import Cloud
from tests.omi.specs import make_spec

if TYPE_CHECKING:
    from mypy_boto3_ec2 import EC2Client

ACCOUNT = "123456789012"  # moto's
FAKE_PACKER = Path(__file__).with_name("fake_packer.py")


class _Oapi(BaseHTTPRequestHandler):
    """What FCU lacks: ReadAccounts, and boot modes, which images of FCU's making don't have."""

    fcu = ""
    boot_modes: ClassVar[dict[str, list[str]]] = {}

    def do_POST(self) -> None:
        asked = json.loads(self.rfile.read(int(self.headers.get("Content-Length", 0))))
        answers = {"ReadAccounts": self._accounts, "ReadImages": self._images, "CreateImage": self._create}
        body = json.dumps(answers[self.path.rpartition("/")[2]](asked)).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def _accounts(self, _: Any) -> Any:
        return {"Accounts": [{"AccountId": ACCOUNT}]}

    def _images(self, asked: Any) -> Any:
        ids = asked["Filters"]["ImageIds"]
        return {"Images": [{"ImageId": each, "BootModes": self.boot_modes.get(each, ["legacy"])} for each in ids]}

    def _create(self, asked: Any) -> Any:
        ec2 = boto3.client(
            "ec2",
            region_name="eu-west-2",
            endpoint_url=self.fcu,
            aws_access_key_id="AKTEST",
            aws_secret_access_key="SECRETTEST",
        )
        made = ec2.register_image(
            Name=asked["ImageName"], Description=asked["Description"], RootDeviceName=asked["RootDeviceName"]
        )["ImageId"]
        self.boot_modes[made] = asked["BootModes"]
        return {"Image": {"ImageId": made}}

    def log_message(self, *_: object) -> None:
        return


@dataclass(frozen=True)
class Account:
    """One account of the fake cloud, as the project reaches it and as a test looks into it."""

    access: CloudAccess
    cloud: Cloud

    @property
    def ec2(self) -> EC2Client:
        """The plain client."""
        return self.cloud.ec2

    def spec(self, **changes: Any) -> ImageSpec:
        """A spec of an image in this account."""
        vm = BuildVm(ssh_port=2222, source_owner=ACCOUNT, timeout=60)
        return make_spec(**{"cloud": self.access, "vm": vm, **changes})

    def register(self, name: str, description: str = "", tags: dict[str, str] | None = None) -> str:
        """An OMI of this account."""
        image = self.ec2.register_image(Name=name, Description=description, RootDeviceName="/dev/sda1")["ImageId"]
        if tags:
            self.ec2.create_tags(Resources=[image], Tags=[{"Key": key, "Value": tags[key]} for key in tags])
        return image

    def set_boot_modes(self, omi: str, *boot_modes: str) -> None:
        """As if it had been registered by OAPI with these."""
        _Oapi.boot_modes[omi] = list(boot_modes)

    def left(self) -> dict[str, list[str]]:
        """Everything of a build that is still there, but the source OMI."""
        vms = [vm for group in self.ec2.describe_instances()["Reservations"] for vm in group["Instances"]]
        images = self.ec2.describe_images(Filters=[{"Name": "owner-id", "Values": [ACCOUNT]}])["Images"]
        groups = self.ec2.describe_security_groups()["SecurityGroups"]
        found = {
            "vms": [vm["InstanceId"] for vm in vms if vm["State"]["Name"] not in {"terminated", "shutting-down"}],
            "images": [image["ImageId"] for image in images if not image["Name"].startswith("Debian-12-")],
            "keys": [key["KeyName"] for key in self.ec2.describe_key_pairs()["KeyPairs"]],
            "groups": [group["GroupName"] for group in groups if group["GroupName"] != "default"],
        }
        return {kind: ids for kind, ids in found.items() if ids}


@pytest.fixture(scope="session")
def fcu_url() -> Iterator[str]:
    """The address of an EC2-shaped server of this test process."""
    from moto.server import ThreadedMotoServer  # a second to import: not for every test

    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}"
    server.stop()


@pytest.fixture(scope="session")
def oapi_url(fcu_url: str) -> Iterator[str]:
    """The address of OAPI."""
    _Oapi.fcu = fcu_url
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Oapi)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}/api/v1"
    server.shutdown()
    server.server_close()


@pytest.fixture
def account(monkeypatch: pytest.MonkeyPatch, fcu_url: str, oapi_url: str) -> Account:
    """An empty account that has the source OMI; its keys are in the environment."""
    for name, value in {"OSC_ACCESS_KEY": "AKTEST", "OSC_SECRET_KEY": "SECRETTEST"}.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("MOTO_AMIS_PATH", str(FAKE_PACKER.with_name("no_images.json")))
    requests.post(f"{fcu_url}/moto-api/reset", timeout=10)
    access = CloudAccess(region="eu-west-2", api=oapi_url, fcu=fcu_url)
    made = Account(access, Cloud.connect(access))
    made.register("Debian-12-2026-11-01")
    return made


@dataclass(frozen=True)
class FakePacker:
    """A folder with a program called packer; its mode says how the next run goes."""

    folder: Path

    @property
    def environ(self) -> dict[str, str]:
        """The environment in which it is found."""
        return {**os.environ, "PATH": f"{self.folder}:{os.environ['PATH']}", "ALPINE_OMI_TOOLS": ""}

    def behave(self, mode: str) -> None:
        """`good`, `fail`, `half` (an OMI without tags, then it fails), `leaky`, `hang`, `deaf` (to SIGTERM), `lost`,
        `mute` (of what is installed).
        """
        (self.folder / "mode").write_text(mode)

    def has_plugin(self, version: str) -> None:
        """The OUTSCALE plugin that it says it has."""
        (self.folder / "plugin").write_text(version)


@pytest.fixture
def packer(tmp_path: Path, account: Account) -> FakePacker:
    """A Packer in whose place `fake_packer.py` works on the account."""
    folder = tmp_path / "bin"
    folder.mkdir()
    program = folder / "packer"
    program.write_text(f"#!{sys.executable}\n{FAKE_PACKER.read_text()}")
    program.chmod(program.stat().st_mode | stat.S_IXUSR)
    (folder / "fcu").write_text(account.access.fcu)
    fake = FakePacker(folder)
    fake.behave("good")
    fake.has_plugin("1.6.1")
    return fake
