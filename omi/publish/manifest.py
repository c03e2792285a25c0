"""The manifest: every published file with its SHA-256, in the form of `sha256sum`, which one signature covers."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from omi.support.errors import InputError
from omi.support.reading import why_unread

MANIFEST = "manifest.txt"
SIGNATURE = "manifest.txt.sig"
SIGNERS = "allowed_signers"
"""The file of the keys whose signatures count, in OpenSSH's form (ssh-keygen(1), ALLOWED SIGNERS)."""
STACK_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]*")
"""Stack names, which have no other meaning in allowed_signers; Pulumi allows no others."""
_HEADER = re.compile(rf"# alpine-omi manifest 1\n# stack: ({STACK_NAME.pattern})\n# signed: (\d{{1,11}}) \S+\n")
_LINE = re.compile(r"([0-9a-f]{64})  (.+)\n")


@dataclass(frozen=True)
class PublishedManifest:
    """The list of a stack's published files, with its time."""

    stack: str
    signed: int
    """Seconds since 1970: each manifest has more than the one before, so an older one is noticed."""
    files: Mapping[str, str]
    """Path in the releases folder to SHA-256."""

    @property
    def time(self) -> datetime:
        """When it was signed, UTC."""
        return datetime.fromtimestamp(self.signed, UTC)

    def to_text(self) -> str:
        """Three lines that begin with `#`, which sha256sum ignores, and one line for each file, sorted by path."""
        signed = f"# signed: {self.signed} {self.time:%Y-%m-%dT%H:%M:%SZ}\n"
        files = (f"{digest}  {path}\n" for path, digest in sorted(self.files.items()))
        return "".join(("# alpine-omi manifest 1\n", f"# stack: {self.stack}\n", signed, *files))

    def holds(self, files: Mapping[str, bytes]) -> bool:
        """Whether it lists each of these files, with this content."""
        return all(self.files.get(path) == hashlib.sha256(content).hexdigest() for path, content in files.items())

    @classmethod
    def read(cls, folder: Path) -> PublishedManifest | None:
        """Read a folder's manifest, unchecked; None if it is missing, InputError if it is something else."""
        file = folder / MANIFEST
        try:
            text = file.read_text(encoding="utf-8", errors="replace")
        except FileNotFoundError:
            return None
        except OSError as error:
            raise InputError(f"{file}: {why_unread(file, error)}") from error
        head = _HEADER.match(text)
        lines = _LINE.findall(text, head.end()) if head else []
        made = cls(head[1], int(head[2]), {path: digest for digest, path in lines}) if head else None
        if made is None or made.to_text() != text:
            raise InputError(f"{file}: is not a manifest of this program; move it away, then publish again")
        return made
