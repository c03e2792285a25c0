"""The makers' releases: whether they can be reached, and fetching one that hashes to what is pinned."""

import hashlib
import ipaddress
import os
import shutil
import tarfile
import threading
import time
import urllib.error
import urllib.parse
import urllib.request
import zipfile
from collections.abc import Iterable
from pathlib import Path
from typing import IO

from toolchain.errors import ChecksumMismatchError, MakerUnreachableError, ToolchainError
from toolchain.pins import Pins, Release
from toolchain.place import Part
from toolchain.processes import run

CONNECT_SECONDS = 5.0
READ_SECONDS = 30.0
DOWNLOAD_LIMIT_SECONDS = 20 * 60.0
PLUGIN_LIMIT_SECONDS = 10 * 60.0
_CHUNK = 1 << 20


class Reach:
    """Which makers' hosts answer from here: asked once, all in parallel, and remembered for the run."""

    def __init__(self, urls: Iterable[str], seconds: float = CONNECT_SECONDS) -> None:
        self._origins = {_origin(url) for url in urls}
        self._seconds = seconds
        self._answering: set[str] | None = None

    @classmethod
    def of(cls, pins: Pins) -> "Reach":
        """The hosts of all pinned releases."""
        return cls(tool.release.url_pattern for tool in pins.tools.values() if tool.release)

    def check(self, url: str) -> None:
        """MakerUnreachableError unless the host of `url` answered within `seconds` of the first question."""
        if self._answering is None:
            self._answering = self._ask()
        if _origin(url) not in self._answering:
            raise MakerUnreachableError(f"{_host(url)} could not be reached")

    def _ask(self) -> set[str]:
        answering: set[str] = set()
        threads = [
            threading.Thread(target=self._ask_one, args=(origin, answering), daemon=True) for origin in self._origins
        ]
        end = time.monotonic() + self._seconds
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(max(0.0, end - time.monotonic()))
        return set(answering)  # a copy: a thread that is still waiting may add to the other

    def _ask_one(self, origin: str, answering: set[str]) -> None:
        try:
            with urllib.request.urlopen(_head(origin), timeout=self._seconds):  # noqa: S310 (checked in _head)
                answering.add(origin)
        except urllib.error.HTTPError:
            answering.add(origin)  # an answer, whatever it says of its front page
        except (OSError, ValueError):
            return


def fetch_release(release: Release, arch: str, target: Path) -> None:
    """Download the release for `arch` into the file `target`, checked against its digest.

    MakerUnreachableError: it can't be had. ChecksumMismatchError: it differs; `target` is removed.
    """
    url = release.url(arch)
    wanted = release.sha256.get(arch) or published_sha256(release, arch)
    try:
        found = _download(url, target)
        if found != wanted:
            raise ChecksumMismatchError(
                f"{url} has SHA-256 {found}, but {wanted} is pinned: nothing was installed. "
                "Don't use this file; look at what changed before you change toolchain/pins.toml"
            )
    except ToolchainError:
        target.unlink(missing_ok=True)
        raise


def published_sha256(release: Release, arch: str) -> str:
    """The digest that the maker's own checksum file gives for the release."""
    checksums_url, file_name = release.checksums_url(), release.url(arch).rsplit("/", 1)[1]
    if not checksums_url:
        raise ToolchainError(f"neither a digest nor a checksum file is pinned for {file_name} ({arch})")
    with _open(checksums_url) as answer:
        text = answer.read(_CHUNK).decode("utf-8", "replace")
    for line in text.splitlines():
        words = line.split()
        if len(words) == 2 and words[1].lstrip("*") == file_name and len(words[0]) == 64:
            return words[0].lower()
    raise MakerUnreachableError(f"{checksums_url} names no digest for {file_name}")


def unpack(archive: Path, folder: Path, names: Iterable[str]) -> None:
    """Take the files called `names` (whatever folder they lie in) out of a tar.gz or zip, executable.

    ToolchainError where one is missing.
    """
    wanted = set(names)
    if zipfile.is_zipfile(archive):
        with zipfile.ZipFile(archive) as zipped:
            for member in zipped.infolist():
                if (name := Path(member.filename).name) in wanted and not member.is_dir():
                    with zipped.open(member) as source, (folder / name).open("wb") as target:
                        shutil.copyfileobj(source, target)
                    wanted.discard(name)
    else:
        with tarfile.open(archive) as tarred:
            for entry in tarred:
                if (name := Path(entry.name).name) in wanted and entry.isfile():
                    content = tarred.extractfile(entry)
                    if content is not None:
                        with (folder / name).open("wb") as target:
                            shutil.copyfileobj(content, target)
                        wanted.discard(name)
    if wanted:
        raise ToolchainError(f"{archive.name} has no {', '.join(sorted(wanted))} in it")
    for name in names:
        (folder / name).chmod(0o755)


def install_command_plugin(release: Release, arch: str, pulumi: Part, home: Path) -> None:
    """`pulumi plugin install` of the `command` plugin into `home`, in exactly the pinned version and digest."""
    digest = published_sha256(release, arch)
    env = dict(os.environ, PULUMI_HOME=str(home), PULUMI_SKIP_UPDATE_CHECK="true")
    arguments = ["plugin", "install", "resource", "command", f"v{release.version}", "--exact", "--checksum", digest]
    try:
        run([pulumi.path, *arguments], env=env, limit=PLUGIN_LIMIT_SECONDS)
    except ToolchainError as error:
        _raise_if_checksum(error)
        raise MakerUnreachableError(str(error)) from error


def install_outscale_plugin(release: Release, packer: Part, folder: Path) -> None:
    """`packer plugins install` of the maker's plugin into `folder`; Packer checks the release's own SHA256SUMS."""
    env = dict(os.environ, PACKER_PLUGIN_PATH=str(folder), CHECKPOINT_DISABLE="1")
    try:
        run(
            [packer.path, "plugins", "install", "github.com/outscale/outscale", f"v{release.version}"],
            env=env,
            limit=PLUGIN_LIMIT_SECONDS,
        )
    except ToolchainError as error:
        _raise_if_checksum(error)
        raise MakerUnreachableError(str(error)) from error


def _raise_if_checksum(error: ToolchainError) -> None:
    if "checksum" in str(error).lower():
        raise ChecksumMismatchError(f"{error}: nothing was installed") from error


def _download(url: str, target: Path) -> str:
    summary, end = hashlib.sha256(), time.monotonic() + DOWNLOAD_LIMIT_SECONDS
    with _open(url) as answer, target.open("wb") as file:
        try:
            while chunk := answer.read(_CHUNK):
                if time.monotonic() > end:
                    raise MakerUnreachableError(f"{url} did not come within {DOWNLOAD_LIMIT_SECONDS / 60:.0f} minutes")
                summary.update(chunk)
                file.write(chunk)
        except OSError as error:
            raise MakerUnreachableError(f"{url} broke off: {error}") from error
    return summary.hexdigest()


def _open(url: str) -> IO[bytes]:
    _demand_tls(url)
    try:
        answer: IO[bytes] = urllib.request.urlopen(url, timeout=READ_SECONDS)  # noqa: S310 (checked above)
    except (OSError, ValueError) as error:
        raise MakerUnreachableError(f"{url}: {error}") from error
    return answer


def _head(origin: str) -> urllib.request.Request:
    _demand_tls(origin)
    return urllib.request.Request(origin, method="HEAD")  # noqa: S310 (checked above)


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


def _origin(url: str) -> str:
    parts = urllib.parse.urlsplit(url)
    return f"{parts.scheme}://{parts.netloc}/"


def _host(url: str) -> str:
    return urllib.parse.urlsplit(url).hostname or url
