"""A maker's release: fetched over TLS, checked against its SHA-256, and unpacked."""

import hashlib
import io
import ipaddress
import tarfile
import time
import urllib.error
import urllib.parse
import urllib.request
import zipfile
from collections.abc import Callable, Iterator
from http.client import HTTPException
from pathlib import Path

from toolchain.errors import ToolchainError, UnavailableError
from toolchain.tools import Tool, architecture

SILENCE_SECONDS = 5.0
DOWNLOAD_LIMIT_SECONDS = 20 * 60.0


class Makers:
    """Downloads of one run. No host is asked again that could not be reached."""

    def __init__(self, say: Callable[[str], None]) -> None:
        self._say = say
        self._lost: set[str] = set()

    def files(self, tool: Tool) -> list[bytes]:
        """The tool's files out of its checked release.

        UnavailableError: it can't be had. ToolchainError: it differs from what is pinned, or lacks a file.
        """
        url = tool.filled(tool.url)
        wanted = tool.sha256.get(architecture()) or self._published(tool, url.rsplit("/", 1)[1])
        archive = self._get(url)
        if (found := hashlib.sha256(archive).hexdigest()) != wanted:
            raise ToolchainError(
                f"{url} has SHA-256 {found}, but {wanted} is pinned: nothing was installed. "
                "Don't use this file; find out what changed before you change toolchain/tools.py"
            )
        names = [tool.filled(file) for file in tool.files]
        members = {name: content for name, content in _members(archive) if name in names}
        if missing := sorted(set(names) - set(members)):
            raise ToolchainError(f"{url} has no {', '.join(missing)} in it")
        return [members[name] for name in names]

    def _published(self, tool: Tool, file: str) -> str:
        """The digest that the maker's own list gives for the file."""
        if not tool.checksums:
            raise UnavailableError(f"no release for {architecture()} is pinned")
        url = tool.filled(tool.checksums)
        for line in self._get(url).decode("utf-8", "replace").splitlines():
            words = line.split()
            if len(words) == 2 and words[1].lstrip("*") == file and len(words[0]) == 64:
                return words[0].lower()
        raise UnavailableError(f"{url} names no digest for {file}")

    def _get(self, url: str) -> bytes:
        host = urllib.parse.urlsplit(url).netloc
        if not _is_safe(url):
            raise ToolchainError(f"{url} is not https: tools are fetched over TLS only")
        if host in self._lost:
            raise UnavailableError(f"{host} could not be reached")
        self._say(f"fetching {url}")
        end = time.monotonic() + DOWNLOAD_LIMIT_SECONDS
        content = bytearray()
        try:
            with urllib.request.urlopen(url, timeout=SILENCE_SECONDS) as answer:  # noqa: S310 (checked above)
                while chunk := answer.read1(1 << 20):  # what has come so far, so that a drip meets the limit, too
                    content += chunk
                    if time.monotonic() > end:
                        raise UnavailableError(f"{url} did not come within {DOWNLOAD_LIMIT_SECONDS / 60:.0f} minutes")
                if answer.length:
                    raise UnavailableError(f"{url} broke off: {answer.length} bytes are missing")
        except urllib.error.HTTPError as error:
            raise UnavailableError(f"{url}: {error}") from error
        except (OSError, HTTPException) as error:
            self._lost.add(host)
            raise UnavailableError(f"{host} could not be reached: {getattr(error, 'reason', error)}") from error
        return bytes(content)


def _members(archive: bytes) -> Iterator[tuple[str, bytes]]:
    """Each file in a zip or tar.gz, whatever folder it lies in."""
    data = io.BytesIO(archive)
    if zipfile.is_zipfile(data):
        with zipfile.ZipFile(data) as zipped:
            for member in zipped.infolist():
                yield Path(member.filename).name, zipped.read(member)
    else:
        data.seek(0)
        with tarfile.open(fileobj=data) as tarred:
            for entry in tarred:
                if content := tarred.extractfile(entry):
                    yield Path(entry.name).name, content.read()


def _is_safe(url: str) -> bool:
    """Whether it is https, or http on this machine (for the tests)."""
    parts = urllib.parse.urlsplit(url)
    try:
        return parts.scheme == "https" or ipaddress.ip_address(parts.hostname or "").is_loopback
    except ValueError:
        return False
