"""SSH signatures, which ssh-keygen makes and checks."""

from __future__ import annotations

import base64
import binascii
import os
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

from omi.support.environment import SIGNING_KEY, without_keys
from omi.support.errors import InputError, ToolError, one_line

NAMESPACE = "alpine-omi"
"""The purpose of our signatures: one for anything else, such as a git commit, doesn't count here."""
_LIMIT = 60
"""Seconds that a signature may take; an agent may ask for a confirmation, a hardware key for a touch."""
_LONGEST = 64 * 1024
"""Bytes of a key's file."""
_PRIVATE = "-----BEGIN "
_TYPES = frozenset(
    {
        "ssh-ed25519", "sk-ssh-ed25519@openssh.com", "ssh-rsa", "sk-ecdsa-sha2-nistp256@openssh.com",
        "ecdsa-sha2-nistp256", "ecdsa-sha2-nistp384", "ecdsa-sha2-nistp521",
    }
)  # fmt: skip
_GIVE = "give an SSH key, as `ssh-keygen -t ed25519` makes it"


@dataclass(frozen=True)
class PublishingKey:
    """A key that signs: a file of one, or the text of a private one."""

    where: str
    """Its name in errors."""
    path: Path | None = None
    text: str = field(default="", repr=False)
    private: bool = True
    """A public key stands for the private one that an agent holds."""

    @classmethod
    def find(cls, file: Path | None, environ: Mapping[str, str]) -> PublishingKey | None:
        """The key in the file, or else the one in SIGNING_KEY; None where neither is given, InputError for any other.

        A file is a private key, or the public one whose private one an agent holds.
        """
        if file is not None:
            where = f"--key {file}"
            text = _read(file, where)
            private = text.startswith(_PRIVATE)
            if not private and text.split(" ")[0] not in _TYPES:
                raise InputError(f"{where}: is not an SSH key that signs; {_GIVE}")
            if private and file.stat().st_mode & 0o077:
                raise InputError(f"{where}: others may read it, so ssh-keygen refuses it; run `chmod 600 {file}`")
            return cls(where, path=file, private=private)
        if given := environ.get(SIGNING_KEY, "").replace("\r\n", "\n").strip():
            if not given.startswith(_PRIVATE):
                raise InputError(f"{SIGNING_KEY}: is not a private SSH key; give the text of one, or its file by --key")
            return cls(SIGNING_KEY, text=given + "\n")
        return None

    def sign(self, message: str) -> Signature:
        """Sign the text; InputError if the key can't, ToolError if ssh-keygen fails."""
        with _files(*([self.text] if self.path is None else [])) as (names, handles):
            place = names[0] if self.path is None else str(self.path)
            agent = ("SSH_AUTH_SOCK",) if self.path is not None else ()
            done = _ssh_keygen(["sign", "-f", place], message, handles, agent)
        if done.returncode:
            raise InputError(f"{self.where}: {self._why(done.stderr)}")
        signature = Signature(done.stdout)
        if signature.key_type not in _TYPES:
            raise InputError(f"{self.where}: is of the type {signature.key_type}, which isn't safe; {_GIVE}")
        return signature

    def _why(self, errors: str) -> str:
        if not self.private:
            return "is a public key, and no agent holds its private one; load that by `ssh-add`, or give its file"
        if "incorrect passphrase" in errors:
            if self.path is None:
                return "has a passphrase, which nobody can type here; keep a key without one in the CI's store"
            return f"has a passphrase, and no agent holds it; load it by `ssh-add {self.path}`"
        return f"ssh-keygen can't sign with it ({_last_line(errors)}); {_GIVE}"


@dataclass(frozen=True)
class Signature:
    """A signature as ssh-keygen writes it (OpenSSH's PROTOCOL.sshsig), with the public key that made it."""

    text: str

    @property
    def key_type(self) -> str:
        """`ssh-ed25519`, for example."""
        return _string(self._key).decode("ascii", "replace")

    @property
    def public_key(self) -> str:
        """The public key, in the form that ends a line of allowed_signers."""
        return f"{self.key_type} {base64.b64encode(self._key).decode()}"

    def problem(self, signers: Path, name: str, message: str, when: datetime | None = None) -> str | None:
        """The reason why it doesn't count for `name` and this text at that time (None: now), by the allowed signers.

        None if it counts.
        """
        with _files(self.text) as (names, handles):
            command = ["verify", "-f", str(signers), "-I", name, "-s", names[0]]
            if when is not None:
                command += ["-O", f"verify-time={when.astimezone():%Y%m%d%H%M%S}"]
            done = _ssh_keygen(command, message, handles)
        return _last_line(done.stderr, f"no line is for this key and {name}") if done.returncode else None

    @property
    def _key(self) -> bytes:
        try:
            content = base64.b64decode("".join(self.text.strip().splitlines()[1:-1]), validate=True)
        except binascii.Error:
            content = b""
        if content[:6] != b"SSHSIG":
            raise ToolError("ssh-keygen: printed no signature; use OpenSSH's, version 9 or newer")
        return _string(content[10:])


def _string(content: bytes) -> bytes:
    """The first string of SSH's binary form: its length in four bytes, then its bytes."""
    return content[4 : 4 + int.from_bytes(content[:4], "big")]


def _read(file: Path, where: str) -> str:
    cure = "give the file of a private key, or of the public one where an agent holds the key"
    if file.exists() and not file.is_file():
        raise InputError(f"{where}: is not a file; {cure}")
    try:
        with file.open("rb") as content:
            return content.read(_LONGEST).decode("utf-8", "replace")
    except OSError as error:
        raise InputError(f"{where}: cannot be read: {error.strerror}; {cure}") from error


@contextmanager
def _files(*texts: str) -> Iterator[tuple[list[str], list[int]]]:
    """Names of files in memory that hold these texts, and their handles: a key is never on a disk."""
    with ExitStack() as opened:
        handles = []
        for text in texts:
            handle = os.memfd_create("omi")
            opened.callback(os.close, handle)
            os.fchmod(handle, 0o600)
            os.write(handle, text.encode())
            handles.append(handle)
        yield [f"/proc/self/fd/{handle}" for handle in handles], handles


def _ssh_keygen(
    command: Sequence[str], message: str, handles: Sequence[int], variables: Sequence[str] = ()
) -> subprocess.CompletedProcess[str]:
    environment = {**without_keys(os.environ, *variables), "LC_ALL": "C", "SSH_ASKPASS_REQUIRE": "never"}
    try:
        return subprocess.run(
            ["ssh-keygen", "-Y", *command, "-n", NAMESPACE],
            input=message,
            capture_output=True,
            encoding="utf-8",
            errors="replace",
            timeout=_LIMIT,
            env=environment,
            pass_fds=handles,
            start_new_session=True,  # no terminal, so it asks for no passphrase
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        raise ToolError(f"ssh-keygen: no signature after {_LIMIT} s; does an agent or a key wait for you?") from error
    except OSError as error:
        why = f"ssh-keygen: cannot be started ({error.strerror}); install the OpenSSH client"
        raise ToolError(f"{why} (Debian: `apt-get install openssh-client`)") from error


def _last_line(errors: str, otherwise: str = "no message") -> str:
    return one_line((errors.strip().splitlines() or [otherwise])[-1], 300)
