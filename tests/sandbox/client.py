"""An OAPI client written from OUTSCALE's documentation of signatures, and a runner of sandboxes for tests."""

from __future__ import annotations

import datetime as dt
import hashlib
import hmac
import http.client
import json
import select
import ssl
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

from sandbox.config import Addresses, SandboxSettings, SandboxTiming
from tests.sandbox.fakes import FakeMachines
from tests.sandbox.ports import free_base_port

Json = dict[str, Any]
T = TypeVar("T")
LIMIT = 10.0
JSON_BODY = {"Content-Type": "application/json"}


class Refused(Exception):  # noqa: N818 - what the API says, as a value to assert on
    """An answer that is not 200."""

    def __init__(self, status: int, body: Json) -> None:
        super().__init__(f"{status} {body}")
        self.status = status
        self.body = body
        self.code = body["Errors"][0]["Code"]


def osc4_headers(
    profile: Json, host: str, path: str, body: bytes, when: dt.datetime | None = None, service: str = "api"
) -> dict[str, str]:
    """The headers of a request signed with OSC4-HMAC-SHA256, step by step as documented."""
    when = when or dt.datetime.now(dt.UTC)
    stamp, day = when.strftime("%Y%m%dT%H%M%SZ"), when.strftime("%Y%m%d")
    content_type = "application/json; charset=utf-8"
    canonical = (
        f"POST\n{path}\n\ncontent-type:{content_type}\nhost:{host}\nx-osc-date:{stamp}\n\n"
        f"content-type;host;x-osc-date\n{hashlib.sha256(body).hexdigest()}"
    )
    scope = f"{day}/{profile['region']}/{service}/osc4_request"
    text = f"OSC4-HMAC-SHA256\n{stamp}\n{scope}\n{hashlib.sha256(canonical.encode()).hexdigest()}"
    key = b"OSC4" + profile["secret_key"].encode()
    for part in (day, profile["region"], service, "osc4_request", text):
        key = hmac.new(key, part.encode(), hashlib.sha256).digest()
    return {
        "Host": host,
        "Content-Type": content_type,
        "X-Osc-Date": stamp,
        "Authorization": (
            f"OSC4-HMAC-SHA256 Credential={profile['access_key']}/{scope}, "
            f"SignedHeaders=content-type;host;x-osc-date, Signature={key.hex()}"
        ),
    }


class Oapi:
    """Calls of one account: `Oapi(...).call("ReadVms", Filters={...})`. Each thread keeps its connection: opening
    one costs both sides more than a call does.
    """

    def __init__(self, profile: Json, addresses: Addresses, ca: Path) -> None:
        self._all: list[http.client.HTTPSConnection] = []
        self._own = threading.local()
        self.profile = profile
        self.host = f"{addresses.host}:{addresses.tls_port}"
        self._context = ssl.create_default_context(cafile=str(ca))

    def send(self, path: str, body: bytes, headers: dict[str, str]) -> tuple[int, bytes]:
        connection = self._connection()
        try:
            connection.request("POST", path, body, headers)
            answer = connection.getresponse()
            return answer.status, answer.read()
        except (OSError, http.client.HTTPException):
            connection.close()
            raise

    def _connection(self) -> http.client.HTTPSConnection:
        """This thread's; what the server has closed in the meantime is opened again by the next request."""
        kept: http.client.HTTPSConnection | None = getattr(self._own, "connection", None)
        if kept is None:
            kept = self._own.connection = http.client.HTTPSConnection(self.host, context=self._context, timeout=LIMIT)
            self._all.append(kept)
        elif kept.sock and select.select([kept.sock], [], [], 0)[0]:
            kept.close()
        return kept

    def __del__(self) -> None:
        for connection in self._all:
            connection.close()

    def call(self, action: str, **parameters: Any) -> Json:
        status, parsed = self.ask(action, parameters)
        assert parsed["ResponseContext"]["RequestId"]
        if status != 200:
            raise Refused(status, parsed)
        del parsed["ResponseContext"]
        return parsed

    def ask(self, action: str, parameters: Json) -> tuple[int, Json]:
        path, body = f"/api/v1/{action}", json.dumps(parameters).encode()
        status, answer = self.send(path, body, osc4_headers(self.profile, self.host, path, body))
        return status, json.loads(answer)


class Judged(Oapi):
    """A client that fails where the sandbox answers otherwise than OUTSCALE's specification has it, or takes a request
    that this refuses. Nulls aside: the genuine Packer plugin sends them in filters.
    """

    def ask(self, action: str, parameters: Json) -> tuple[int, Json]:
        from tests import openapi  # half a second that a program which only calls is spared

        status, parsed = super().ask(action, parameters)
        openapi.check_answer(action, parsed, status)
        if status == 200:
            openapi.check_request(action, without_nulls(parameters))
        return status, parsed


def without_nulls(value: Any) -> Any:
    if isinstance(value, list):
        return [without_nulls(each) for each in value]
    if isinstance(value, dict):
        return {key: without_nulls(each) for key, each in value.items() if each is not None}
    return value


class Sandbox:
    """A sandbox in this process, on free ports, with the fake machines."""

    def __init__(self, settings: SandboxSettings) -> None:
        from sandbox.server import Server  # not for those who only want the client, as the fake Packer does

        self.settings = settings
        self.server = Server(settings, lambda text: None)
        self.profiles: dict[str, Json] = json.loads(settings.profiles_file.read_text())

    @property
    def machines(self) -> FakeMachines:
        machines = self.server.cloud.machines
        assert isinstance(machines, FakeMachines)
        return machines

    def oapi(self, profile: str = "main") -> Oapi:
        return Judged(self.profiles[profile], self.settings.addresses, self.settings.ca_file)

    def control(self, method: str, path: str, body: Any = None) -> Any:
        connection = http.client.HTTPConnection("127.0.0.1", self.settings.addresses.plain_port, timeout=LIMIT)
        try:
            sent, headers = (None, {}) if body is None else (json.dumps(body), JSON_BODY)
            connection.request(method, f"/_sandbox/{path}", sent, headers)
            answer = connection.getresponse()
            parsed = json.loads(answer.read())
        finally:
            connection.close()
        assert answer.status == 200, parsed
        return parsed

    def account_id(self, profile: str = "main") -> str:
        return str(self.oapi(profile).call("ReadAccounts")["Accounts"][0]["AccountId"])

    def close(self) -> None:
        self.server.close()


def settings_for(home: Path, step: float = 0.02, base_port: int | None = None) -> SandboxSettings:
    """Settings of a quick sandbox below `home`."""
    home.mkdir(exist_ok=True)
    return SandboxSettings(
        home=home,
        addresses=Addresses(base_port or free_base_port()),
        cache=home,
        timing=SandboxTiming.uniform(step),
        machines="tests.sandbox.fakes:FakeMachines",
        source="tests.sandbox.fakes:fake_source",
        mirror="off",
    )


def wait_for(look: Callable[[], T], good: Callable[[T], bool], limit: float = LIMIT) -> T:
    """Look until it is good; the last look is in the failure."""
    deadline = time.monotonic() + limit
    while True:
        seen = look()
        if good(seen):
            return seen
        assert time.monotonic() < deadline, f"still {seen}"
        time.sleep(0.01)


def state_of(oapi: Oapi, resource_id: str) -> str:
    """The state of a VM, volume, snapshot or image; `gone` where it is not listed."""
    action, plural, key = {
        "i": ("ReadVms", "Vms", "VmIds"),
        "vol": ("ReadVolumes", "Volumes", "VolumeIds"),
        "snap": ("ReadSnapshots", "Snapshots", "SnapshotIds"),
        "ami": ("ReadImages", "Images", "ImageIds"),
    }[resource_id.partition("-")[0]]
    found = oapi.call(action, Filters={key: [resource_id]})[plural]
    return str(found[0]["State"]) if found else "gone"


def wait_state(oapi: Oapi, resource_id: str, state: str) -> None:
    wait_for(lambda: state_of(oapi, resource_id), lambda seen: seen == state)


def source_image(oapi: Oapi) -> str:
    """The newest official Debian-12 OMI, chosen as our template does."""
    filters = {"AccountAliases": ["Outscale"], "ImageNames": ["Debian-12-*"]}
    images = oapi.call("ReadImages", Filters=filters)["Images"]
    return str(max(images, key=lambda each: each["CreationDate"])["ImageId"])


def launch(oapi: Oapi, **more: Any) -> str:
    """A running VM from the official OMI."""
    vm_id = str(oapi.call("CreateVms", ImageId=source_image(oapi), VmType="tinav5.c2r4p1", **more)["Vms"][0]["VmId"])
    wait_state(oapi, vm_id, "running")
    return vm_id


def root_volume(oapi: Oapi, vm_id: str) -> str:
    vm = oapi.call("ReadVms", Filters={"VmIds": [vm_id]})["Vms"][0]
    return str(vm["BlockDeviceMappings"][0]["Bsu"]["VolumeId"])


def snapshot(oapi: Oapi, volume_id: str, description: str = "") -> str:
    """A completed snapshot."""
    made = oapi.call("CreateSnapshot", VolumeId=volume_id, Description=description)["Snapshot"]["SnapshotId"]
    wait_state(oapi, made, "completed")
    return str(made)


def own_range(addresses: Addresses) -> str:
    """A range for a Net whose VMs this machine reaches; no other sandbox of the tests has it, nor this one's VMs."""
    return f"127.{192 + (addresses.base_port >> 8) % 60}.{addresses.base_port & 255}.0/24"


def make_subnet(oapi: Oapi, ip_range: str, **more: Any) -> tuple[str, str]:
    """A Net of one Subnet of the same range; the ids of both."""
    net = oapi.call("CreateNet", IpRange=ip_range)["Net"]["NetId"]
    return net, oapi.call("CreateSubnet", NetId=net, IpRange=ip_range, **more)["Subnet"]["SubnetId"]


def empty_volume(oapi: Oapi, size: int = 1) -> str:
    subregion = f"{oapi.profile['region']}a"
    made = oapi.call("CreateVolume", Size=size, SubregionName=subregion)["Volume"]["VolumeId"]
    wait_state(oapi, made, "available")
    return str(made)


def register(oapi: Oapi, name: str, snapshot_id: str, **more: Any) -> str:
    """An available image over one snapshot."""
    made = oapi.call(
        "CreateImage",
        ImageName=name,
        Architecture="x86_64",
        RootDeviceName="/dev/sda1",
        BlockDeviceMappings=[
            {"DeviceName": "/dev/sda1", "Bsu": {"SnapshotId": snapshot_id, "DeleteOnVmDeletion": True}}
        ],
        **more,
    )["Image"]["ImageId"]
    wait_state(oapi, made, "available")
    return str(made)
