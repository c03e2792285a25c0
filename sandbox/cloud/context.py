"""The cloud itself: its state, its lock, the machine below it and the work that goes on in the background."""

from __future__ import annotations

import logging
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TypeVar

from sandbox.auth import Verifier
from sandbox.cloud.errors import Fail, RefusedError
from sandbox.cloud.faults import Faults, Whose
from sandbox.cloud.ids import check_id, new_id
from sandbox.cloud.model import Account, PublicIp, Resource, Vm, now
from sandbox.cloud.objects import ExportStore
from sandbox.cloud.quotas import Quotas, RequestLimit
from sandbox.cloud.store import ResourceStore
from sandbox.config import REGIONS, Addresses, SandboxRegion, SandboxTiming
from sandbox.machines.protocol import MachineError, Machines

log = logging.getLogger("sandbox")

R = TypeVar("R", bound=Resource)
Job = Callable[[], None]


class Closing(Exception):  # noqa: N818 - a signal, not an error
    """The server is ending; background work stops and goes on at the next start."""


class LocalCloud:
    """One local OUTSCALE. Calls run inside `transaction`, which is short; longer work runs in jobs outside it."""

    def __init__(self, store: ResourceStore, machines: Machines, timing: SandboxTiming, addresses: Addresses) -> None:
        self.store = store
        self.machines = machines
        self.timing = timing
        self.addresses = addresses
        self.faults = Faults()
        self.root_buses: dict[str, str] = {}
        """VM type -> the bus of its root disk from the next start on, if that is not the default."""
        self.on_change: Job = lambda: None
        """Called after each transaction, outside of its commit but under the lock (the relay follows it)."""
        self.ssh_faults: dict[str, str] = {}
        """VM id -> the fault of its SSH since it started (`closed`, `silent`)."""
        self.keyless: set[str] = set()
        """Ids of VMs whose metadata lack their key because of a fault."""
        self.object_store: ExportStore | None = None
        """Set by the starter of the server."""
        self.keys = Verifier({}, lockout=0.0)
        """Set by the starter of the server, too."""
        self.quotas = Quotas(self.owned)
        self.requests = RequestLimit(None)
        self._lock = threading.RLock()
        self._depth = 0
        self._after: list[tuple[str, Job]] = []
        self._closing = threading.Event()
        self._threads: set[threading.Thread] = set()
        self._vm_locks: defaultdict[str, threading.RLock] = defaultdict(threading.RLock)

    @contextmanager
    def transaction(self) -> Iterator[ResourceStore]:
        """Hold the lock. When it ends, changes are on disk; only then do the jobs start."""
        with self._lock:
            self._depth += 1
            try:
                with self.store.transaction():
                    yield self.store
            except BaseException:
                self._after.clear()
                raise
            finally:
                self._depth -= 1
            if self._depth == 0:
                jobs, self._after = self._after, []
                self.on_change()
                for name, job in jobs:
                    self._start(name, job)

    def later(self, name: str, job: Job) -> None:
        """Run `job` in a thread of its own once the transaction is on disk."""
        with self._lock:
            self._after.append((name, job))

    def _start(self, name: str, job: Job) -> None:
        def work() -> None:
            try:
                job()
            except Closing:
                pass
            except Exception:
                log.exception("background work %s failed", name)
            finally:
                self._threads.discard(threading.current_thread())

        if self._closing.is_set():
            return
        thread = threading.Thread(target=work, name=name, daemon=True)
        self._threads.add(thread)
        thread.start()

    def pause(self, seconds: float) -> None:
        """Wait as part of a state change; raises Closing when the server ends."""
        if self._closing.wait(seconds):
            raise Closing

    def fault_of(self, resource: Resource, kind: str, *states: str, stuck: Job | None = None) -> str | None:
        """The state that a fault sets instead, if any; `stuck` runs when the faults are changed."""
        whose = self.whose(resource)
        fault = self.faults.for_state(kind, set(states), whose)
        if fault is None:
            return None
        if stuck is not None:
            self.faults.when_changed(whose, lambda: self._start(f"go on with {resource.id}", stuck))
        return fault.state

    def whose(self, resource: Resource) -> Whose:
        """The account and Region of a resource, by which faults match."""
        owner = self.store.get(Account, resource.account_id)
        return Whose(owner.profile if owner else None, resource.region)

    def close(self, limit: float = 10.0) -> None:
        """Ask background work to stop and wait for it, at most `limit` seconds."""
        self._closing.set()
        deadline = time.monotonic() + limit
        for thread in list(self._threads):
            thread.join(max(0.0, deadline - time.monotonic()))

    @property
    def objects(self) -> ExportStore:
        """The object store."""
        if self.object_store is None:
            raise RefusedError(Fail.INTERNAL, "There is no object store.")
        return self.object_store

    def vm_lock(self, vm_id: str) -> threading.RLock:
        """Held while the machine of a VM is started, stopped or removed; taken before the cloud's lock, never after."""
        with self._lock:
            return self._vm_locks[vm_id]

    # --- looking things up -------------------------------------------------------------------------------------

    def own(self, caller: Account, kind: type[R], key: str, fail: Fail) -> R:
        """The caller's resource of that id; raises `fail` if it has none."""
        found = self.store.get(kind, check_id(kind, key))
        if found is None or found.account_id != caller.id:
            raise RefusedError(fail, f"The {kind.kind} '{key}' does not exist.")
        return found

    def owned(self, caller: Account, kind: type[R]) -> list[R]:
        """Everything of a kind that the caller owns, oldest first."""
        return [each for each in self.store.all(kind) if each.account_id == caller.id]

    def made_before(self, caller: Account, kind: type[R], token: str | None) -> list[R]:
        """Everything of a kind that the caller made with this client token."""
        return [each for each in self.owned(caller, kind) if token and getattr(each, "client_token", None) == token]

    def fresh_id(self, kind: type[Resource]) -> str:
        while True:
            key = new_id(kind.prefix)
            if self.store.get(kind, key) is None:
                return key

    def make(self, kind: type[R], owner: Resource, **what: object) -> R:
        """Store a new resource of the owner's account and Region."""
        common = {"id": self.fresh_id(kind), "account_id": owner.account_id, "region": owner.region, "created": now()}
        return self.store.put(kind.model_validate(common | what))

    def region(self, caller: Account) -> SandboxRegion:
        return next(each for each in REGIONS if each.name == caller.region)

    def check_subregion(self, caller: Account, name: str) -> None:
        """Refuse a Subregion that the caller's Region lacks."""
        if name not in self.region(caller).subregions:
            raise RefusedError(Fail.NO_SUBREGION, f"The Subregion '{name}' does not exist in {caller.region}.")

    def free_slot(self) -> int:
        """A free number of a loopback address; all Regions share them."""
        taken = {vm.slot for vm in self.store.all(Vm) if vm.alive}
        taken |= {address.slot for address in self.store.all(PublicIp)}
        for slot in range(self.addresses.FIRST_SLOT, self.addresses.LAST_SLOT + 1):
            if slot not in taken:
                return slot
        raise RefusedError(Fail.NO_ADDRESS_LEFT, "No public address is left; delete VMs or public IPs.")

    def public_ip_of(self, vm: Vm) -> str | None:
        """The VM's public address now: a linked one, or outside of Nets its own while it is pending or running."""
        held = next((each for each in self.store.all(PublicIp) if each.vm_id == vm.id), None)
        if held is not None:
            return self.addresses.public_ip(held.slot)
        own = vm.subnet_id is None and vm.state in ("pending", "running")
        return self.addresses.public_ip(vm.slot) if own else None

    # --- changing things from background work ------------------------------------------------------------------

    def change(self, kind: type[R], key: str, states: set[str], **update: object) -> R | None:
        """Update a resource if it (still) exists and is in one of `states`; returns the updated one."""
        with self.transaction() as store:
            found = store.get(kind, key)
            if found is None or getattr(found, "state", "") not in states:
                return None
            return store.put(found.model_copy(update=update))

    def discard(self, kind: type[R], key: str, delete: Callable[[str], None]) -> None:
        """Remove the disk of a resource in `deleting`, then the resource. It goes into `error` if that fails."""
        try:
            delete(key)
        except MachineError as error:
            log.warning("%s %s: %s", kind.kind, key, error)
            self.change(kind, key, {"deleting"}, state="error")
            return
        with self.transaction() as store:
            if (found := store.get(kind, key)) is not None:
                store.delete(found)
