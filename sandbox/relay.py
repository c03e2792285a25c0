"""The way to a VM's SSH port: open on its public address only where and to whom a security group lets it through."""

from __future__ import annotations

import contextlib
import ipaddress
import logging
import selectors
import socket
import threading
from dataclasses import dataclass

from sandbox.cloud.context import Cloud
from sandbox.cloud.model import SecurityGroup, Vm
from sandbox.cloud.public_ips import public_ip_of
from sandbox.cloud.security_groups import allowed_sources
from sandbox.config import GUEST_SSH_PORT, INNER_SSH_PORT, SSH_PORT

log = logging.getLogger("sandbox")

_CHUNK = 65536
_CONNECT_LIMIT = 10.0


@dataclass(frozen=True)
class Way:
    """From a public address to where the machine driver put the guest's SSH, for these source networks."""

    public_ip: str
    inner_ip: str
    sources: tuple[str, ...]
    silent: bool = False
    """Whether connections stay open and nobody answers, as a fault says."""


def ways(cloud: Cloud) -> dict[str, Way]:
    """The ways that are open now, by public address. A rule for port 22 or for the sandbox's SSH port opens one."""
    found = {}
    for vm in cloud.store.all(Vm):
        public_ip = public_ip_of(cloud, vm)
        trouble = cloud.ssh_faults.get(vm.id)
        if vm.state not in ("pending", "running") or public_ip is None or trouble == "closed":
            continue
        groups = [cloud.store.get(SecurityGroup, each) for each in vm.security_group_ids]
        sources = allowed_sources([each for each in groups if each is not None], (GUEST_SSH_PORT, SSH_PORT))
        if any(ipaddress.ip_address("127.0.0.1") in ipaddress.ip_network(each, strict=False) for each in sources):
            inner = cloud.addresses.public_ip(vm.slot)
            found[public_ip] = Way(public_ip, inner, sources, silent=trouble == "silent")
    return found


class SshRelay:
    """Listens on the public addresses of VMs and passes connections on to their guests."""

    def __init__(self, cloud: Cloud) -> None:
        self._cloud = cloud
        self._selector = selectors.DefaultSelector()
        self._guard = threading.Lock()
        self._listeners: dict[str, socket.socket] = {}
        self._ways: dict[str, Way] = {}
        self._wake, self._waker = socket.socketpair()
        self._selector.register(self._wake, selectors.EVENT_READ)
        self._closed = False
        self._thread = threading.Thread(target=self._run, name="ssh relay", daemon=True)

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
            for ip in set(self._listeners) - set(wanted):
                listener = self._listeners.pop(ip)
                self._selector.unregister(listener)
                listener.close()
            for ip in set(wanted) - set(self._listeners):
                self._listen(ip)
            return not self._closed

    def _listen(self, ip: str) -> None:
        try:
            listener = socket.create_server((ip, SSH_PORT))
        except OSError as error:
            log.warning("the address %s:%d can't be opened: %s", ip, SSH_PORT, error)
            return
        listener.setblocking(False)
        self._listeners[ip] = listener
        self._selector.register(listener, selectors.EVENT_READ, ip)

    def _accept(self, listener: socket.socket, ip: str) -> None:
        try:
            client, (source, *_) = listener.accept()
        except OSError:
            return
        with self._guard:
            way = self._ways.get(ip)
        address = ipaddress.ip_address(source)
        if way is None or not any(address in ipaddress.ip_network(each, strict=False) for each in way.sources):
            client.close()
            return
        if way.silent:
            threading.Thread(target=_keep_waiting, args=(client,), name=f"ssh {ip}", daemon=True).start()
            return
        threading.Thread(target=_pass_on, args=(client, way.inner_ip), name=f"ssh {ip}", daemon=True).start()


def _keep_waiting(client: socket.socket) -> None:
    """Take what comes and say nothing, until the client gives up."""
    with client, contextlib.suppress(OSError):
        client.setblocking(True)
        while client.recv(_CHUNK):
            pass


def _pass_on(client: socket.socket, inner_ip: str) -> None:
    client.setblocking(True)
    try:
        guest = socket.create_connection((inner_ip, INNER_SSH_PORT), timeout=_CONNECT_LIMIT)
    except OSError:
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
