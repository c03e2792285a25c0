"""The ways to a VM's ports: open on its addresses only where and to whom a security group lets them through."""

from __future__ import annotations

import contextlib
import ipaddress
import logging
import selectors
import socket
import threading
from dataclasses import dataclass

from sandbox.cloud.context import LocalCloud
from sandbox.cloud.model import SecurityGroup, Vm
from sandbox.cloud.security_groups import allowed_sources, single_ports
from sandbox.config import GUEST_SSH_PORT, INNER_SSH_PORT, SSH_PORT, outer_port
from sandbox.machines.protocol import MachineError, Machines

log = logging.getLogger("sandbox")

_CHUNK = 65536
_CONNECT_LIMIT = 10.0


@dataclass(frozen=True)
class Way:
    """From an address of this machine to a port of a VM, for these source networks."""

    vm_id: str
    guest_port: int
    ip: str
    inner_ip: str
    """Where the machine driver put the guest's SSH."""
    sources: tuple[str, ...]
    silent: bool = False
    """Whether connections stay open and nobody answers, as a fault says."""

    @property
    def address(self) -> tuple[str, int]:
        """Where it begins."""
        return self.ip, outer_port(self.guest_port)

    def inner(self, machines: Machines) -> tuple[str, int]:
        """Where the machine driver has the other end."""
        if self.guest_port == GUEST_SSH_PORT:
            return self.inner_ip, INNER_SSH_PORT
        return "127.0.0.1", machines.forward(self.vm_id, self.guest_port)


def ways(cloud: LocalCloud) -> dict[tuple[str, int], Way]:
    """The ways that are open now, by where they begin.

    A rule for port 22 or for the sandbox's SSH port opens SSH; a rule that names one other port opens that.
    """
    found = {}
    for vm in cloud.store.all(Vm):
        if vm.state not in ("pending", "running"):
            continue
        named = (cloud.store.get(SecurityGroup, each) for each in vm.security_group_ids)
        groups = [each for each in named if each is not None]
        trouble = cloud.ssh_faults.get(vm.id)
        for port in sorted({GUEST_SSH_PORT, *single_ports(groups)} - {SSH_PORT, INNER_SSH_PORT}):
            is_ssh = port == GUEST_SSH_PORT
            sources = allowed_sources(groups, (port, SSH_PORT) if is_ssh else (port,))
            if _allows("127.0.0.1", sources) and not (is_ssh and trouble == "closed"):
                inner = cloud.addresses.public_ip(vm.slot)
                for ip in _addresses(cloud, vm):
                    way = Way(vm.id, port, ip, inner, sources, silent=is_ssh and trouble == "silent")
                    found[way.address] = way
    return found


def _addresses(cloud: LocalCloud, vm: Vm) -> list[str]:
    """Its public address, and its private one in a Subnet whose range is this machine's own (127.0.0.0/8)."""
    private = vm.address if vm.address and ipaddress.ip_address(vm.address).is_loopback else None
    return [ip for ip in (cloud.public_ip_of(vm), private) if ip is not None]


def _allows(address: str, sources: tuple[str, ...]) -> bool:
    return any(ipaddress.ip_address(address) in ipaddress.ip_network(each, strict=False) for each in sources)


class Relay:
    """Listens on the addresses of VMs and passes connections on to their guests."""

    def __init__(self, cloud: LocalCloud) -> None:
        self._cloud = cloud
        self._selector = selectors.DefaultSelector()
        self._guard = threading.Lock()
        self._listeners: dict[tuple[str, int], socket.socket] = {}
        self._ways: dict[tuple[str, int], Way] = {}
        self._wake, self._waker = socket.socketpair()
        self._selector.register(self._wake, selectors.EVENT_READ)
        self._closed = False
        self._thread = threading.Thread(target=self._run, name="relay", daemon=True)

    def start(self) -> None:
        self._thread.start()
        self.follow()

    def follow(self) -> None:
        """Open and close ways as the state now says."""
        wanted = ways(self._cloud)
        with self._guard:
            if wanted != self._ways and not self._closed:
                self._ways = wanted
                self._waker.send(b".")

    def close(self) -> None:
        with self._guard:
            self._closed = True
            self._waker.send(b".")
        self._thread.join(5)

    def _run(self) -> None:
        while True:
            for key, _ in self._selector.select():
                if key.fileobj is self._wake:
                    self._wake.recv(_CHUNK)
                    if not self._rearrange():
                        return
                elif isinstance(key.fileobj, socket.socket):
                    self._accept(key.fileobj, key.data)

    def _rearrange(self) -> bool:
        with self._guard:
            wanted = {} if self._closed else self._ways
            for address in set(self._listeners) - set(wanted):
                listener = self._listeners.pop(address)
                self._selector.unregister(listener)
                listener.close()
            for address in set(wanted) - set(self._listeners):
                self._listen(address)
            return not self._closed

    def _listen(self, address: tuple[str, int]) -> None:
        try:
            listener = socket.create_server(address)
        except OSError as error:
            log.warning("the address %s:%d can't be opened: %s", *address, error)
            return
        listener.setblocking(False)
        self._listeners[address] = listener
        self._selector.register(listener, selectors.EVENT_READ, address)

    def _accept(self, listener: socket.socket, address: tuple[str, int]) -> None:
        try:
            client, (source, *_) = listener.accept()
        except OSError:
            return
        with self._guard:
            way = self._ways.get(address)
        if way is None or not _allows(source, way.sources):
            client.close()
            return
        work = (_keep_waiting, (client,)) if way.silent else (_pass_on, (client, way, self._cloud.machines))
        threading.Thread(target=work[0], args=work[1], name=f"way to {way.vm_id}", daemon=True).start()


def _keep_waiting(client: socket.socket) -> None:
    """Take what comes and say nothing, until the client gives up."""
    with client, contextlib.suppress(OSError):
        client.setblocking(True)
        while client.recv(_CHUNK):
            pass


def _pass_on(client: socket.socket, way: Way, machines: Machines) -> None:
    client.setblocking(True)
    try:
        guest = socket.create_connection(way.inner(machines), timeout=_CONNECT_LIMIT)
    except (OSError, MachineError):
        client.close()
        return
    guest.settimeout(None)
    for end in (client, guest):
        end.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    back = threading.Thread(target=_pump, args=(guest, client), daemon=True)
    back.start()
    _pump(client, guest)
    back.join()
    client.close()
    guest.close()


def _pump(source: socket.socket, target: socket.socket) -> None:
    with contextlib.suppress(OSError):
        while chunk := source.recv(_CHUNK):
            target.sendall(chunk)
    with contextlib.suppress(OSError):
        target.shutdown(socket.SHUT_WR)
