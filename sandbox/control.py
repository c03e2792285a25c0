"""The control face for tests and for the command line: faults, inventory, call log, consoles. Plain port only.

It asks for no key, so a web page in a browser on this machine must not reach it. It answers only to this machine's own
names (a page can make its own name lead here), and takes only JSON (which a page can't send to another site).
"""

from __future__ import annotations

import json
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass
from typing import Any, Literal
from urllib.parse import parse_qs

from pydantic import TypeAdapter, ValidationError

from sandbox.cloud.context import LocalCloud
from sandbox.cloud.faults import Fault
from sandbox.cloud.model import (
    Account,
    Image,
    Keypair,
    PublicIp,
    Resource,
    SecurityGroup,
    Snapshot,
    Vm,
    Volume,
)
from sandbox.cloud.quotas import NAMES
from sandbox.cloud.security_groups import DEFAULT_NAME
from sandbox.eim import Users
from sandbox.machines.protocol import MachineError
from sandbox.problem import first_problem
from sandbox.relay import ways

Json = dict[str, Any]
LISTED: tuple[type[Resource], ...] = (Vm, Volume, Snapshot, Image, Keypair, SecurityGroup, PublicIp)
MAX_CALLS = 20000
NAMES_OF_HERE = ("127.0.0.1", "localhost", "[::1]")
_FAULTS = TypeAdapter(list[Fault])
_QUOTAS = TypeAdapter(dict[str, int])
_BUSES = TypeAdapter(dict[str, Literal["virtio-blk", "virtio-scsi"]])


@dataclass(frozen=True)
class Record:
    """One call: its time (seconds since the epoch), action, caller and answer, without secrets."""

    time: float
    face: str
    action: str
    profile: str | None
    status: int
    seconds: float
    request: Json


class CallLog:
    """The latest calls; each has a number that rises."""

    def __init__(self) -> None:
        self._guard = threading.Lock()
        self._calls: deque[tuple[int, Record]] = deque(maxlen=MAX_CALLS)
        self._next = 1

    def add(self, face: str, action: str, profile: str | None, status: int, started: float, request: Json) -> None:
        """Log one more call; `started` is a time of `time.monotonic`."""
        record = Record(time.time(), face, action, profile, status, round(time.monotonic() - started, 4), request)
        with self._guard:
            self._calls.append((self._next, record))
            self._next += 1

    def since(self, number: int) -> list[Json]:
        """The calls whose number is greater."""
        with self._guard:
            return [{"number": each, **asdict(record)} for each, record in self._calls if each > number]


class Control:
    """The answers below `/_sandbox/`. `extras` adds paths (name -> handler of method and body)."""

    def __init__(self, cloud: LocalCloud, accounts: Mapping[str, Account], facts: Callable[[], Json]) -> None:
        self.calls = CallLog()
        self.users = Users()
        self.extras: dict[str, Callable[[str, bytes], Json]] = {}
        self._cloud = cloud
        self._accounts = accounts
        self._facts = facts

    def answer(self, method: str, path: str, query: str, headers: Mapping[str, str], body: bytes) -> tuple[int, bytes]:
        """HTTP status and JSON body; the headers' names are in lower case."""
        if refused := self._refused(method, headers):
            status, reason = refused
            return status, json.dumps({"error": reason}).encode()
        try:
            return 200, json.dumps(self._route(method, path.removeprefix("/_sandbox/"), query, body)).encode()
        except ValidationError as error:
            return 400, json.dumps({"error": first_problem(error)}).encode()
        except ValueError as error:
            return 400, json.dumps({"error": str(error)}).encode()
        except LookupError as error:
            return 404, json.dumps({"error": str(error.args[0] if error.args else error)}).encode()
        except MachineError as error:
            return 409, json.dumps({"error": str(error)}).encode()

    def _refused(self, method: str, headers: Mapping[str, str]) -> tuple[int, str] | None:
        """The reason and status to refuse a request that a web page may have made."""
        hosts = [f"{name}:{self._cloud.addresses.plain_port}" for name in NAMES_OF_HERE]
        if (host := headers.get("host", "")).lower() not in hosts:
            return 403, f"Host: {host!r} is none of this machine's own names; ask {' or '.join(hosts)}"
        kind = headers.get("content-type", "").partition(";")[0].strip().lower()
        if method in ("POST", "PUT") and kind != "application/json":
            return 415, f"Content-Type: {kind!r}; the body must be JSON and the header say application/json"
        return None

    def _route(self, method: str, path: str, query: str, body: bytes) -> Any:
        name, _, rest = path.partition("/")
        if name == "faults":
            return self._faults(method, body)
        if name == "quotas":
            return self._quotas(method, body)
        if name == "root-buses":
            return self._root_buses(method, body)
        if name == "policies":
            return self._policies(method, body)
        if name == "calls":
            return self.calls.since(int(parse_qs(query).get("since", ["0"])[0]))
        if name == "inventory":
            return self.inventory()
        if name == "status":
            return self.status()
        if name == "console":
            return {"console": self._cloud.machines.console(self.vm(rest).id).decode(errors="replace")}
        if name in self.extras:
            return self.extras[name](method, body)
        raise LookupError(f"/_sandbox/{path} does not exist")

    def _faults(self, method: str, body: bytes) -> Any:
        """GET lists, POST adds, PUT replaces, DELETE removes all; a body is a list of faults or one."""
        faults = self._cloud.faults
        if method == "DELETE":
            faults.replace([])
        elif method in ("POST", "PUT"):
            given = json.loads(body)
            parsed = _FAULTS.validate_python(given if isinstance(given, list) else [given])
            (faults.add if method == "POST" else faults.replace)(parsed)
        return [each.model_dump(exclude_defaults=True) for each in faults.current()]

    def _quotas(self, method: str, body: bytes) -> Json:
        """GET lists the changed quotas, PUT replaces them."""
        if method == "PUT":
            given = _QUOTAS.validate_json(body)
            if unknown := sorted(set(given) - NAMES):
                raise ValueError(f"no such quota: {', '.join(unknown)}; there are {', '.join(sorted(NAMES))}")
            self._cloud.quotas.values = dict(given)
        return dict(self._cloud.quotas.values)

    def _root_buses(self, method: str, body: bytes) -> Json:
        """GET lists, PUT replaces by VM type the bus of a root disk; a stopped VM that starts gets it, too."""
        if method == "PUT":
            self._cloud.root_buses = dict(_BUSES.validate_json(body))
        return self._cloud.root_buses

    def _policies(self, method: str, body: bytes) -> Any:
        """GET lists, PUT replaces the policies of accounts' keys by profile; without one, a key may do all."""
        if method == "PUT":
            self.users.replace(body)
        return {
            profile: policy.model_dump(by_alias=True, exclude_none=True)
            for profile, policy in self.users.current().items()
        }

    def vm(self, name: str) -> Vm:
        """A VM by id or by its Name tag, the newest first; LookupError where there is none."""
        for each in reversed(self._cloud.store.all(Vm)):
            if name and name in (each.id, each.tags.get("Name")):
                return each
        raise LookupError(f"no VM has the id or the Name tag '{name}'")

    def inventory(self) -> Json:
        """Everything of each account, by profile and kind, without terminated VMs and default groups."""
        with self._cloud.transaction():
            return {
                profile: {
                    "account_id": account.id,
                    "region": account.region,
                    "resources": {
                        kind.kind: [_resource_view(each) for each in self._made(profile, kind)] for kind in LISTED
                    },
                }
                for profile, account in self._accounts.items()
            }

    def _made(self, profile: str, kind: type[Resource]) -> Iterator[Resource]:
        """The account's own things, without ended VMs and its default group."""
        for each in self._cloud.owned(self._accounts[profile], kind):
            ended = isinstance(each, Vm) and not each.alive
            given = isinstance(each, SecurityGroup) and each.name == DEFAULT_NAME
            if not ended and not given:
                yield each

    def status(self) -> Json:
        """Facts about the server, its users' things, and the open ports of their VMs."""
        with self._cloud.transaction():
            opened = ways(self._cloud).values()
            made = {kind: [each for name in self._accounts for each in self._made(name, kind)] for kind in LISTED}
            vms = [
                {
                    "id": each.id,
                    "name": each.tags.get("Name"),
                    "state": each.state,
                    "region": each.region,
                    "ways": {way.guest_port: way.address for way in opened if way.vm_id == each.id},
                    "console_empty": not self._cloud.machines.console(each.id),
                }
                for each in made[Vm]
                if isinstance(each, Vm)
            ]
            images = [
                {"id": each.id, "name": each.name, "state": each.state, "region": each.region}
                for each in made[Image]
                if isinstance(each, Image)
            ]
            counts = {kind.kind: len(each) for kind, each in made.items()}
            stock = {kind.kind: len(self._cloud.store.all(kind)) - counts[kind.kind] for kind in (Image, Snapshot)}
            return {**self._facts(), "vms": vms, "images": images, "counts": counts, "stock": stock}


def _resource_view(resource: Resource) -> Json:
    view: Json = {"id": resource.id}
    for field in ("name", "state"):
        if hasattr(resource, field):
            view[field] = getattr(resource, field)
    return {**view, "tags": resource.tags}
