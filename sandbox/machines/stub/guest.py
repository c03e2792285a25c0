"""One stub VM: an SSH server that accepts the metadata's key, takes uploads and answers from a recording."""

from __future__ import annotations

import asyncio
import re
import shutil
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import asyncssh

from sandbox.machines.protocol import MachineError, MachineSpec, Metadata
from sandbox.machines.stub.answers import Answers, StubAnswer, System, settings_of
from sandbox.machines.stub.disks import StubDisks

GREETING = "sandbox_stub"
"""Its name in the SSH greeting (`SSH-2.0-sandbox_stub`), so that callers know a stub."""
_KEY = "meta-data/public-keys/0/openssh-key"
_SCRIPT = re.compile(r"/tmp/script_\d+\.sh")  # noqa: S108 - where Packer's shell provisioner puts its script
_UNKNOWN = 127


class StubGuest:
    """The system in one VM; all but the constructor runs in the event loop. Uploads lie below `folder`."""

    def __init__(
        self,
        spec: MachineSpec,
        answers: Answers,
        disks: StubDisks,
        folder: Path,
        host_key: asyncssh.SSHKey | None = None,
    ) -> None:
        self.spec = spec
        self.metadata = Metadata({})
        self._answers = answers
        self._disks = disks
        self._root = folder / "root"
        self.host_key = host_key or asyncssh.generate_private_key("ssh-ed25519")
        self._settings = disks.read(spec.disks[0].volume_id)
        self._listener: asyncssh.SSHAcceptor | None = None
        self._connections: set[asyncssh.SSHServerConnection] = set()

    @property
    def running(self) -> bool:
        return self._listener is not None

    async def start(self) -> None:
        """Listen, unless it does already; MachineError if the address is taken."""
        if self.running:
            return
        shutil.rmtree(self._root, ignore_errors=True)
        (self._root / "tmp").mkdir(parents=True)
        try:
            self._listener = await asyncssh.create_server(
                lambda: _Door(self._is_welcome, self._connections),
                self.spec.public_ip,
                self.spec.ssh_port,
                server_host_keys=[self.host_key],
                server_version=GREETING,
                process_factory=self._serve,
                sftp_factory=self._files,
                allow_scp=True,
                encoding=None,
                reuse_address=True,
            )
        except OSError as error:
            where = f"{self.spec.public_ip}:{self.spec.ssh_port}"
            raise MachineError(f"{where} cannot be the VM's SSH address: {error.strerror}") from error

    async def stop(self) -> None:
        """Close the port and every connection. Uploads are gone at the next start."""
        listener, self._listener = self._listener, None
        if listener is None:
            return
        listener.close()
        for connection in list(self._connections):
            connection.abort()
        await listener.wait_closed()

    def console(self) -> str:
        """The console of a real VM of this kind while it boots."""
        return self._answers.console(self._system, self._known())

    @property
    def _system(self) -> System:
        return "image" if self._settings else "source"

    def _known(self, settings: str | None = None) -> dict[str, Any]:
        metadata = {
            path.removeprefix("meta-data/"): value.decode(errors="replace").rstrip("\n")
            for path, value in self.metadata.entries.items()
        }
        return {
            "image": settings_of(self._settings if settings is None else settings),
            "metadata": metadata,
            "now": int(time.time()),
            "vm": self.spec.vm_id,
            "host_key": self.host_key.get_fingerprint(),
        }

    def _is_welcome(self, user: str, key: asyncssh.SSHKey) -> bool:
        own = self.metadata.entries.get(_KEY, b"").decode("ascii", "replace").split()
        offered = key.export_public_key("openssh").decode("ascii").split()
        return own[:2] == offered[:2] and user == self._answers.user(self._system, self._known())

    def _files(self, channel: asyncssh.SSHServerChannel[bytes]) -> asyncssh.SFTPServer:
        return asyncssh.SFTPServer(channel, chroot=str(self._root).encode())

    async def _serve(self, process: asyncssh.SSHServerProcess[bytes]) -> None:
        try:
            process.exit(await self._answer(process))
        except MachineError as error:
            process.stderr.write(f"stub VM: {error}\n".encode())
            process.exit(_UNKNOWN)

    async def _answer(self, process: asyncssh.SSHServerProcess[bytes]) -> int:
        command = process.command or ""
        rules = self._answers.rules(self._system, command)
        text = ""
        if any(rule.input is not None for rule in rules):
            script = _SCRIPT.search(command)
            text = self._uploaded(script[0]) if script else (await process.stdin.read()).decode(errors="replace")
        for rule in rules:
            if rule.input is None or re.search(rule.input, text):
                return await self._follow(rule, process)
        process.stderr.write(f"stub VM: no answer was recorded for: {command}\n".encode())
        return _UNKNOWN

    async def _follow(self, rule: StubAnswer, process: asyncssh.SSHServerProcess[bytes]) -> int:
        known = self._known()
        if rule.installs is not None:
            settings = self._uploaded(rule.installs.settings)
            self._disks.write(self._disk(rule.installs.device), settings)
            known = self._known(settings)
        for path, name in rule.leaves.items():
            target = self._place(path)
            await asyncio.to_thread(_write, target, self._answers.render(name, known))
        process.stdout.write(self._answers.render(rule.output, known).encode())
        process.stderr.write(self._answers.render(rule.errors, known).encode())
        return rule.exit

    def _disk(self, device: str) -> str:
        for disk in self.spec.disks:
            if disk.device_name == device:
                return disk.volume_id
        raise MachineError(f"no volume at {device}")

    def _place(self, path: str) -> Path:
        return self._root / path.lstrip("/")

    def _uploaded(self, path: str) -> str:
        try:
            return self._place(path).read_text(encoding="utf-8", errors="replace")
        except OSError as error:
            raise MachineError(f"{path}: {error.strerror}") from error


def _write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")


class _Door(asyncssh.SSHServer):
    """Keys only, as both systems have it."""

    def __init__(
        self,
        is_welcome: Callable[[str, asyncssh.SSHKey], bool],
        connections: set[asyncssh.SSHServerConnection],
    ) -> None:
        self._is_welcome = is_welcome
        self._connections = connections
        self._connection: asyncssh.SSHServerConnection | None = None

    def connection_made(self, conn: asyncssh.SSHServerConnection) -> None:
        self._connection = conn
        self._connections.add(conn)

    def connection_lost(self, exc: Exception | None) -> None:
        if self._connection is not None:
            self._connections.discard(self._connection)

    def begin_auth(self, username: str) -> bool:
        return True

    def public_key_auth_supported(self) -> bool:
        return True

    def validate_public_key(self, username: str, key: asyncssh.SSHKey) -> bool:
        return self._is_welcome(username, key)
