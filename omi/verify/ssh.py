"""Runs the system's ssh to one VM, with a key and a known_hosts file of its own and without the user's
configuration."""

from __future__ import annotations

import os
import re
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_ssh_private_key

from omi.outscale.waiting import pause
from omi.support.errors import ToolError, VerifyError

_METHODS = re.compile(r"Permission denied \(([^)]*)\)")
NO_LOGIN = 255
"""The exit code of ssh's own failure."""
_NEVER = threading.Event()
_GREETING = 255
"""The longest greeting that SSH allows (RFC 4253, 4.2)."""
STUB = "sandbox_stub"
"""A part of the greeting of the sandbox's stub VMs (`python -m sandbox start --machines stub`), which run no image."""


def public_key(private: Path) -> str:
    """Type and base64 of the public key to a private key's file (OpenSSH's format, without a password)."""
    key = load_ssh_private_key(private.read_bytes(), None)
    return key.public_key().public_bytes(Encoding.OpenSSH, PublicFormat.OpenSSH).decode("ascii")


class NoLoginError(VerifyError):
    """No login by SSH was possible, so nothing is known of the system behind it."""


@dataclass(frozen=True)
class Answer:
    """The result of a command over SSH."""

    exit_code: int
    output: str
    errors: str


@dataclass(frozen=True)
class Door:
    """The address, user and key of a login."""

    address: str
    port: int
    user: str
    key: Path

    @property
    def known_hosts(self) -> Path:
        """The file of the VM's host keys, beside the key."""
        return self.key.with_name("known_hosts")

    def run(self, script: str, limit: float) -> Answer:
        """Run a POSIX sh script, given on standard input, as the user."""
        return self._ssh([f"{self.user}@{self.address}", "sh", "-s"], script, limit)

    def refusal(self, user: str, limit: float, *options: str) -> str | None:
        """Try to log in as `user` with further options. Returns the methods that the server offers when it refuses.

        None means that the login worked. Raises NoLoginError if ssh failed in another way.
        """
        answer = self._ssh([*options, f"{user}@{self.address}", "true"], "", limit)
        if answer.exit_code != NO_LOGIN:
            return None
        if match := _METHODS.search(answer.errors):
            return match[1]
        raise NoLoginError(f"the login of {user} was neither taken nor refused: {answer.errors.strip()}")

    def open(self, words: Sequence[str], stop: threading.Event) -> int:
        """Let a person in until they leave or `stop` is set: to a command, or without words to a shell. Returns its
        exit code.

        It has this program's own standard streams. There is no limit, since a person works there.
        """
        terminal = ["-t"] if sys.stdin.isatty() else []
        arguments = self.command([*terminal, f"{self.user}@{self.address}", *words])
        environment = self._environment | {key: os.environ[key] for key in ("TERM",) if key in os.environ}
        try:
            process = subprocess.Popen(arguments, env=environment, cwd=self.key.parent)
        except OSError as error:
            raise _missing(error) from error

        def end() -> None:
            stop.wait()
            process.terminate()

        threading.Thread(target=end, name="end of ssh", daemon=True).start()
        return process.wait()

    def _ssh(self, arguments: Sequence[str], text: str, limit: float) -> Answer:
        try:
            done = subprocess.run(
                self.command(["-o", "BatchMode=yes", *arguments]),
                input=text,
                capture_output=True,
                text=True,
                errors="replace",
                timeout=limit,
                env=self._environment,
                cwd=self.key.parent,
                check=False,
            )
        except subprocess.TimeoutExpired as expired:
            output, errors = ((part or b"").decode(errors="replace") for part in (expired.stdout, expired.stderr))
            return Answer(NO_LOGIN, output, f"{errors}no end after {limit:.0f} s")
        except OSError as error:
            raise _missing(error) from error
        return Answer(done.returncode, done.stdout, done.stderr)

    def command(self, arguments: Sequence[str]) -> list[str]:
        """The call of ssh, to be run in the key's folder, without the user's configuration.

        It has no paths, since ssh splits some at spaces and expands `%` in others.
        """
        options = {
            "ConnectTimeout": "30",
            "GlobalKnownHostsFile": "/dev/null",
            "IdentitiesOnly": "yes",
            "LogLevel": "ERROR",
            "ServerAliveInterval": "15",
            "StrictHostKeyChecking": "accept-new",
            "UserKnownHostsFile": self.known_hosts.name,
        }
        flags = [part for name, value in options.items() for part in ("-o", f"{name}={value}")]
        return ["ssh", "-F", "/dev/null", "-i", self.key.name, "-p", str(self.port), *flags, *arguments]

    @property
    def _environment(self) -> dict[str, str]:
        return {"PATH": os.environ.get("PATH", "/usr/bin:/bin"), "LC_ALL": "C", "HOME": str(self.key.parent)}


def _missing(error: OSError) -> ToolError:
    return ToolError(f"ssh: cannot be started ({error.strerror}); install the package openssh-client")


def wait_for_banner(
    address: str,
    port: int,
    limit: float,
    stop: threading.Event = _NEVER,
    in_vain: Callable[[], str | None] = lambda: None,
) -> str:
    """Wait until an SSH server greets; returns its greeting (`SSH-2.0-...`), empty after `limit` seconds.

    VerifyError as soon as `in_vain` gives a reason.
    A forwarded port accepts before the guest's sshd is up, so a connection alone proves nothing.
    """
    end = time.monotonic() + limit
    while time.monotonic() < end:
        try:
            with socket.create_connection((address, port), 3) as link:
                link.settimeout(3)
                with link.makefile("rb") as lines:
                    greeting = lines.readline(_GREETING).decode("ascii", "replace").strip()
                if greeting.startswith("SSH-"):
                    return greeting
        except OSError:
            pass  # sshd is not up yet
        if reason := in_vain():
            raise VerifyError(reason)
        pause(0.5, stop)
    return ""
