"""What the tests do with a booted VM: wait for it and run commands in it by SSH."""

from __future__ import annotations

import os
import socket
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path

from sandbox.machines.protocol import Metadata
from sandbox.machines.qemu import QemuMachines

SSH_PORT = 2222
BOOT_LIMIT_S = 180.0


def address(number: int) -> str:
    """A loopback address that no other test process uses."""
    return f"127.{200 + os.getpid() % 50}.{os.getpid() // 50 % 250}.{number}"


@dataclass(frozen=True)
class Guest:
    """A VM that has an SSH server; `key` is the private key that its metadata service told it the other half of."""

    machines: QemuMachines
    vm_id: str
    ip: str
    key: Path
    user: str = "outscale"

    def wait(self) -> float:
        """Seconds from now until the SSH banner; fails when the VM ends or takes too long."""
        begin = time.monotonic()
        while time.monotonic() - begin < BOOT_LIMIT_S:
            if self.answers():
                return time.monotonic() - begin
            if not self.machines.vm_running(self.vm_id):
                break
            time.sleep(0.2)
        console = self.machines.console(self.vm_id)[-2000:].decode(errors="replace")
        raise AssertionError(f"{self.vm_id} has no SSH after {time.monotonic() - begin:.0f} s:\n{console}")

    def answers(self) -> bool:
        """Whether its SSH server sends its banner, within 2 seconds."""
        try:
            with socket.create_connection((self.ip, SSH_PORT), 1) as connection:
                connection.settimeout(2)
                return connection.recv(4) == b"SSH-"
        except OSError:
            return False

    def run(self, command: str, *, check: bool = True) -> str:
        """Output of a shell command run as the user."""
        options = ["BatchMode=yes", "IdentitiesOnly=yes", "ConnectTimeout=20", "LogLevel=ERROR"]
        options += ["StrictHostKeyChecking=no", "UserKnownHostsFile=/dev/null"]
        ssh = ["ssh", "-F", "none", "-i", str(self.key), "-p", str(SSH_PORT), *(f"-o{option}" for option in options)]
        done = subprocess.run(
            [*ssh, f"{self.user}@{self.ip}", command], capture_output=True, text=True, timeout=120, check=False
        )
        assert not check or done.returncode == 0, f"{command}: {done.stdout}{done.stderr}"
        return done.stdout


def new_key(folder: Path, name: str = "key") -> Path:
    """A fresh ed25519 key pair; the public half lies beside it as `.pub`."""
    key = folder / name
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(key)], check=True, timeout=30)
    return key


def metadata(vm_id: str, key: Path, user_data: bytes = b"") -> Metadata:
    """What a cloud would tell a VM."""
    public = key.with_suffix(".pub").read_bytes()
    entries = {"meta-data/instance-id": vm_id.encode(), "meta-data/public-keys/0/openssh-key": public}
    return Metadata({**entries, "user-data": user_data} if user_data else entries)
