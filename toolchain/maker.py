"""A maker's release: fetched, checked against its SHA-256, and unpacked."""

import hashlib
import ipaddress
import shutil
import tarfile
import time
import urllib.error
import urllib.parse
import urllib.request
import zipfile
from collections.abc import Iterator, Mapping
from http.client import HTTPException, HTTPResponse
from pathlib import Path
from typing import IO

from toolchain.errors import ToolchainError, UnavailableError
from toolchain.tools import Tool, architecture

SILENCE_SECONDS = 5.0
DOWNLOAD_LIMIT_SECONDS = 20 * 60.0
_CHUNK = 1 << 20


class Makers:
    """Downloads of one run into a folder: none twice, and no host is asked again that could not be reached."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._lost: set[str] = set()

    def fetch(self, tool: Tool) -> Path:
        """The tool's archive, checked.

        UnavailableError: it can't be had. ToolchainError: it differs from what is pinned; it is removed.
        """
        archive, arch = tool.archive, architecture()
        names = {"version": tool.version, "arch": archive.arch_names[arch]}
        url = archive.url.format(**names)
        target = self._folder / url.rsplit("/", 1)[1]
        if target.exists():
            return target
        wanted = archive.sha256.get(arch) or self._published(archive.checksums.format(**names), target.name)
        new = target.with_suffix(".part")
        found = self._download(url, new)
        if found != wanted:
            new.unlink()
            raise ToolchainError(
                f"{url} has SHA-256 {found}, but {wanted} is pinned: nothing was installed. "
                "Don't use this file; find out what changed before you change toolchain/tools.py"
            )
        return new.rename(target)

    def _published(self, url: str, file: str) -> str:
        """The digest that the maker's own list gives for the file."""
        for line in b"".join(self._chunks(url)).decode("utf-8", "replace").splitlines():
            words = line.split()
            if len(words) == 2 and words[1].lstrip("*") == file and len(words[0]) == 64:
                return words[0].lower()
        raise UnavailableError(f"{url} names no digest for {file}")

    def _download(self, url: str, target: Path) -> str:
        summary = hashlib.sha256()
        with target.open("wb") as file:
            for chunk in self._chunks(url):
                summary.update(chunk)
                file.write(chunk)
        return summary.hexdigest()

    def _chunks(self, url: str) -> Iterator[bytes]:
        end = time.monotonic() + DOWNLOAD_LIMIT_SECONDS
        with self._open(url) as answer:
            while chunk := _read(answer, url):
                if time.monotonic() > end:
                    raise UnavailableError(f"{url} did not come within {DOWNLOAD_LIMIT_SECONDS / 60:.0f} minutes")
                yield chunk

    def _open(self, url: str) -> HTTPResponse:
        _demand_tls(url)
        host = urllib.parse.urlsplit(url).netloc
        if host in self._lost:
            raise UnavailableError(f"{host} could not be reached")
        try:
            answer: HTTPResponse = urllib.request.urlopen(url, timeout=SILENCE_SECONDS)  # noqa: S310 (checked above)
        except urllib.error.HTTPError as error:
            raise UnavailableError(f"{url}: {error}") from error
        except (OSError, HTTPException) as error:
            self._lost.add(host)
            raise UnavailableError(f"{host} could not be reached: {getattr(error, 'reason', error)}") from error
        return answer


def _read(answer: HTTPResponse, url: str) -> bytes:
    """The bytes that have come so far (so that a drip meets the limit, too); empty at the end."""
    try:
        chunk = answer.read1(_CHUNK)
    except (OSError, HTTPException) as error:
        raise UnavailableError(f"{url} broke off: {error}") from error
    if not chunk and answer.length:
        raise UnavailableError(f"{url} broke off: {answer.length} bytes are missing")
    return chunk


def unpack(archive: Path, wanted: Mapping[str, Path]) -> None:
    """Take files out of a tar.gz or zip, given by name (whatever folder they lie in); ToolchainError if one lacks."""
    left = dict(wanted)
    for name, content in _members(archive):
        if target := left.pop(Path(name).name, None):
            with target.open("wb") as file:
                shutil.copyfileobj(content, file)
    if left:
        raise ToolchainError(f"{archive.name} has no {', '.join(sorted(left))} in it")


def _members(archive: Path) -> Iterator[tuple[str, IO[bytes]]]:
    if zipfile.is_zipfile(archive):
        with zipfile.ZipFile(archive) as zipped:
            for member in zipped.infolist():
                if not member.is_dir():
                    with zipped.open(member) as content:
                        yield member.filename, content
    else:
        with tarfile.open(archive) as tarred:
            for entry in tarred:
                if entry.isfile() and (found := tarred.extractfile(entry)):
                    yield entry.name, found


def _demand_tls(url: str) -> None:
    parts = urllib.parse.urlsplit(url)
    if parts.scheme == "https":
        return
    try:
        local = parts.scheme == "http" and ipaddress.ip_address(parts.hostname or "").is_loopback
    except ValueError:
        local = False
    if not local:
        raise ToolchainError(f"{url} is not https: tools are fetched over TLS only")
