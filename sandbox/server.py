"""The server process: puts the parts together, reports progress, and ends cleanly."""

from __future__ import annotations

import errno
import importlib
import json
import logging
import os
import shutil
import signal
import ssl
import threading
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from datetime import date
from pathlib import Path
from typing import Any

from sandbox import tls
from sandbox.auth import Verifier
from sandbox.cloud import recovery, seeds, vmwork
from sandbox.cloud.context import LocalCloud
from sandbox.cloud.model import Account
from sandbox.cloud.seeds import SeedDisk
from sandbox.cloud.store import ResourceStore, StoreError
from sandbox.config import SandboxSettings
from sandbox.control import Control
from sandbox.credentials import ensure_profiles
from sandbox.home import ServerError, only_one, only_one_kind
from sandbox.machines.kvm import choose
from sandbox.machines.protocol import MachineError, Machines
from sandbox.machines.qemu import QemuMachines
from sandbox.oos import Objects, Oos
from sandbox.relay import Relay
from sandbox.source_omi import SourceOmiError
from sandbox.web import Api, WebServer

log = logging.getLogger("sandbox")

Progress = Callable[[str], None]
NEEDED_TOOLS = {
    "qemu-system-x86_64": "qemu-system-x86",
    "qemu-img": "qemu-utils",
    "socat": "socat",
}
"""Program -> the Debian package that has it, for the QEMU machine driver."""
DEFAULT_MACHINES = SandboxSettings.machines


class Server:
    """A running sandbox in this process. `close` ends it; everything that it answered is on disk."""

    def __init__(self, settings: SandboxSettings, progress: Progress) -> None:
        self.settings = settings
        self._parts = ExitStack()
        self._webs: list[WebServer] = []
        try:
            self._open(progress)
        except BaseException as error:
            self.close()
            shown = _in_one_line(error, settings)
            if shown is None:
                raise
            raise shown from error

    def _open(self, progress: Progress) -> None:
        settings = self.settings
        settings.home.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._parts.enter_context(only_one(settings.lock_file))
        if settings.machines == DEFAULT_MACHINES:
            _require_tools()
        context = tls.server_context(settings.home)
        secured = self._listen("tls", settings.addresses.tls_port, context)
        plain = self._listen("plain", settings.addresses.plain_port, None)
        objects_web = self._listen("oos", settings.addresses.oos_port, context)
        only_one_kind(settings)
        recorded = [settings.answers] if settings.answers else []
        machines: Machines = _load(settings.machines)(settings.home, *recorded)
        store = ResourceStore(settings.database)
        self._parts.callback(store.close)
        self.cloud = LocalCloud(store, machines, settings.timing, settings.addresses)
        self.cloud.requests.each_second = settings.requests_per_second
        self._parts.callback(recovery.stop_all, self.cloud)
        # The machines end before their VMs are marked as stopped, and after the background work.
        self._parts.callback(machines.close)
        self._parts.callback(self.cloud.close)
        accounts = seeds.ensure_accounts(self.cloud, settings.profiles)
        keys = ensure_profiles(settings.profiles_file, settings.addresses, settings.profiles)
        recovery.recover(self.cloud)
        self._seed(progress)
        if isinstance(machines, QemuMachines):
            machines.choice = choose(
                settings.accelerator, settings.cache, lambda: self._source(progress).path, progress
            )
            progress(str(machines.choice))
        self._start_relay()
        with self.cloud.transaction():
            self.cloud.later("watch", lambda: vmwork.watch(self.cloud))
        control = Control(self.cloud, accounts, lambda: self._facts(machines))
        verifier = self.cloud.keys = Verifier(keys, lockout=settings.timing.lockout)
        if settings.mirror != "off":
            self._start_mirror(control, progress)
        self.api = Api(self.cloud, verifier, accounts, control)
        objects = Objects()
        self._parts.callback(objects.clear)
        oos = self.cloud.object_store = Oos(self.cloud, objects, verifier, accounts, control)
        control.extras["buckets"] = lambda method, body: _by_profile(objects.buckets(), accounts)
        for web in (secured, plain):
            web.api = self.api
        objects_web.api = oos

    def _listen(self, name: str, port: int, context: ssl.SSLContext | None) -> WebServer:
        try:
            web = WebServer((self.settings.addresses.host, port), context)
        except OSError as error:
            if error.errno == errno.EADDRINUSE:
                raise _port_error(port) from error
            raise
        threading.Thread(target=web.serve_forever, args=(0.05,), name=f"{name} server", daemon=True).start()
        self._webs.append(web)
        return web

    def _seed(self, progress: Progress) -> None:
        if seeds.seeded(self.cloud):
            return
        seeds.ensure_images(self.cloud, self._source(progress), progress)

    def _source(self, progress: Progress) -> SeedDisk:
        self.settings.cache.mkdir(parents=True, exist_ok=True)
        disk = _load(self.settings.source)(self.settings.cache, progress)
        return SeedDisk(path=Path(disk.path), size=disk.size_gib, name=disk.name, created=disk.created)

    def _start_relay(self) -> None:
        relay = Relay(self.cloud)
        relay.start()
        self.cloud.on_change = relay.follow
        self._parts.callback(relay.close)

    def _start_mirror(self, control: Control, progress: Progress) -> None:
        from sandbox import mirror

        chosen = mirror.MirrorSettings(source=mirror.MirrorSource(self.settings.mirror))
        address = (self.settings.addresses.host, self.settings.addresses.mirror_port)
        try:
            running = mirror.serve(address, self.settings.cache, chosen, progress)
        except mirror.MirrorError as error:
            raise ServerError(f"the Alpine mirror can't be served: {error}") from error
        self._parts.callback(running.close)
        self._lay_out_keys(running.status().keys)

        def answer(method: str, body: bytes) -> dict[str, Any]:
            """GET names what is served; POST {"publish": {"branch", "release"}}, {"publish_package": {"branch", "name",
            "version", "fixes": [id]}},
            {"deprecate_key": {"branch", "key", "since"}} or {"fault": "down"|"garbage"|null}.
            """
            if method == "POST":
                wanted = json.loads(body)
                if "fault" in wanted:
                    running.set_fault(None if wanted["fault"] is None else mirror.MirrorFault(wanted["fault"]))
                try:
                    if "publish" in wanted:
                        running.publish(wanted["publish"]["branch"], wanted["publish"]["release"])
                    if "publish_package" in wanted:
                        package = wanted["publish_package"]
                        fixes = package.get("fixes", ())
                        running.publish_package(package["branch"], package["name"], package["version"], fixes)
                    if "deprecate_key" in wanted:
                        key = wanted["deprecate_key"]
                        running.deprecate_key(key["branch"], key["key"], date.fromisoformat(key["since"]))
                except mirror.MirrorError as error:
                    raise ValueError(str(error)) from error
            status = running.status()
            return {
                "url": status.url,
                "source": status.source.value,
                "current": status.current,
                "keys": str(status.keys) if status.keys else None,
                "fault": status.fault.value if status.fault else None,
            }

        control.extras["mirror"] = answer

    def _lay_out_keys(self, keys: Path | None) -> None:
        """Put the mirror's public keys where a stack can name them; none for the CDN, whose keys profiles pin."""
        folder = self.settings.keys_folder
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir()
        for path in keys.glob("*.rsa.pub") if keys else ():
            shutil.copyfile(path, folder / path.name)

    def _facts(self, machines: Machines) -> dict[str, Any]:
        addresses = self.settings.addresses
        return {
            "pid": os.getpid(),
            "home": str(self.settings.home),
            "base_port": addresses.base_port,
            "stubs": self.settings.has_stubs,
            "accelerator": self.settings.accelerator,
            "vms_run_by": str(machines.choice) if isinstance(machines, QemuMachines) else None,
            "api": addresses.api_endpoint,
            "oos": addresses.oos_endpoint,
            "plain": addresses.plain_url,
            "mirror": f"http://{addresses.host}:{addresses.mirror_port}" if self.settings.mirror != "off" else None,
            "profiles": str(self.settings.profiles_file),
            "ca": str(self.settings.ca_file),
        }

    def close(self) -> None:
        """Stop answering, end the VMs gracefully (they are `stopped` afterwards), close the state."""
        with ThreadPoolExecutor() as side_by_side:  # each is heard when its thread checks next
            list(side_by_side.map(WebServer.shutdown, self._webs))
        for web in self._webs:
            web.server_close()
        self._webs = []
        self._parts.close()


def serve(settings: SandboxSettings, progress: Progress, ready: Callable[[], None]) -> None:
    """Run until SIGTERM or SIGINT; `ready` is called once everything answers. Raises ServerError."""
    ending = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: ending.set())
    server = Server(settings, progress)
    try:
        ready()
        log.info("ready on %s", settings.addresses.api_endpoint)
        while not ending.wait(3600):
            pass
    finally:
        log.info("ending")
        server.close()


def _by_profile(found: Mapping[str, Any], accounts: Mapping[str, Account]) -> dict[str, Any]:
    names = {account.id: profile for profile, account in accounts.items()}
    return {names.get(account_id, account_id): buckets for account_id, buckets in found.items()}


def _require_tools() -> None:
    missing = sorted({package for tool, package in NEEDED_TOOLS.items() if shutil.which(tool) is None})
    if missing:
        raise ServerError(f"the sandbox's VMs need more Debian packages: apt-get install {' '.join(missing)}")


def _load(name: str) -> Callable[..., Any]:
    """The object that `module:attribute` names."""
    module, _, attribute = name.partition(":")
    try:
        found: Callable[..., Any] = getattr(importlib.import_module(module), attribute)
    except (ImportError, AttributeError, ValueError) as error:
        raise ServerError(f"'{name}' can't be loaded ({error}); module:name is expected") from error
    return found


def _port_error(port: int) -> ServerError:
    return ServerError(
        f"port {port} on 127.0.0.1 is in use; end what holds it or choose another with --base-port"
        " (ports B to B+3 are used)"
    )


def _in_one_line(error: BaseException, settings: SandboxSettings) -> ServerError | None:
    """Expected failures as a ServerError; None for anything else."""
    if isinstance(error, (MachineError, StoreError, SourceOmiError)):
        return ServerError(str(error))
    if isinstance(error, OSError) and error.errno == errno.ENOSPC:
        return ServerError(f"the disk is full: {error.filename or settings.home}")
    if isinstance(error, OSError) and error.errno in (errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOTDIR):
        return ServerError(f"{error.filename or settings.home} can't be written; choose another place with --home")
    if isinstance(error, OSError) and error.errno in (errno.EISDIR, errno.EEXIST, errno.ELOOP):
        return ServerError(f"{error.filename} is not what the sandbox put there ({error.strerror}); move it away")
    return None
