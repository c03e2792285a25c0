"""Makes the source OMI's disk: Debian packages by mmdebstrap, then a bootable disk by make-disk.sh.

Needs neither root nor mounts: as an ordinary user both steps run in a user namespace of the user's subordinate ids.
"""

from __future__ import annotations

import getpass
import os
import re
import shutil
import signal
import subprocess
import tempfile
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from sandbox.environment import FETCHING, plain
from sandbox.source_omi.sources import debian_sources

RECIPE = Path(__file__).parent
SIZE_GIB = 10
LIMIT_S = 900.0  # for each of the three steps
# Tool -> Debian package that brings it.
TOOLS = {
    "mmdebstrap": "mmdebstrap",
    "mount": "mount",
    "qemu-img": "qemu-utils",
    "syslinux": "syslinux",
    "mformat": "mtools",
    "mcopy": "mtools",
    "sfdisk": "fdisk",
    "mke2fs": "e2fsprogs",
    "unshare": "util-linux",
}
MBR = Path("/usr/lib/syslinux/mbr/mbr.bin")
DPKG_OPTIONS = (
    "force-unsafe-io",
    "path-exclude=/usr/share/man/*",
    "path-exclude=/usr/share/info/*",
    "path-exclude=/usr/share/locale/*",
    "path-exclude=/usr/share/doc/*",
    "path-include=/usr/share/doc/*/copyright",
)
# The parts of the host's apt configuration by which it reaches its sources; mmdebstrap doesn't read them itself.
_APT_SETTING = re.compile(
    r"^Acquire::(https?::|ftp::|Check-Valid-Until|Check-Date|Retries|ForceIPv|Max-FutureTime)", re.I
)

Progress = Callable[[str], None]


class SourceOmiError(Exception):
    """The source OMI could not be made; the message says what, why and the cure in one line."""


class PackageSourceError(SourceOmiError):
    """A package source gave no usable answer, which may be so for a moment only."""


# Of a URI, as apt's lines quote it.
_CREDENTIALS = re.compile(r"://[^/\s@]+@")

# What a tool prints -> the error, with its meaning and the cure.
_FAILURES = (
    (
        r"No space left on device",
        SourceOmiError,
        "no space left on the disk: free 2 GiB in the cache folder and in the folder of temporary files",
    ),
    (
        r"Temporary failure resolving|Could not (connect|resolve)|Unable to connect|Connection failed|Failed to fetch",
        PackageSourceError,
        "no package source of Debian 12 in /etc/apt could be reached: check the network and the proxy of apt",
    ),
    (
        r"NO_PUBKEY|not signed|is not available to verify",
        PackageSourceError,
        "a package source of Debian 12 has no signature that apt trusts: install debian-archive-keyring",
    ),
)


@dataclass(frozen=True)
class Privilege:
    """How the two steps get the rights of root: mmdebstrap's mode, and what stands before make-disk.sh."""

    mode: str
    prefix: tuple[str, ...]


def privilege(euid: int, user: str, etc: Path = Path("/etc")) -> Privilege:
    """Root works as it is; anybody else by the subordinate ids of `etc`/subuid and subgid.

    Raises SourceOmiError where newuidmap or a range of 65536 ids is missing.
    """
    if euid == 0:
        return Privilege("root", ())
    if shutil.which("newuidmap") is None:
        raise SourceOmiError("newuidmap is missing: install the Debian package uidmap, or run as root")
    for path in (etc / "subuid", etc / "subgid"):
        if not _has_range(path, user, euid):
            raise SourceOmiError(
                f"{path} gives {user} no 65536 subordinate ids: as root run "
                f"`usermod --add-subuids 100000-165535 --add-subgids 100000-165535 {user}`, or run as root"
            )
    return Privilege("unshare", ("unshare", "--user", "--map-root-user", "--map-auto", "--"))


def _user() -> str:
    """The name of the user, or the number of one that this machine has no name for."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return str(os.getuid())


def _has_range(path: Path, user: str, uid: int) -> bool:
    if not path.is_file():
        return False
    rows = (line.split(":") for line in path.read_text(encoding="utf-8").splitlines())
    return any(
        len(row) == 3 and row[0] in {user, str(uid)} and row[2].isdigit() and int(row[2]) >= 65536 for row in rows
    )


def build_disk(folder: Path, target: Path, progress: Progress) -> None:
    """Make the compressed qcow2 `target`; `folder` is an empty scratch folder. Takes about 40 s, 1 GiB of disk.

    Raises SourceOmiError.
    """
    _require_tools()
    rights = privilege(os.geteuid(), _user())
    sources = debian_sources()
    if not sources:
        raise SourceOmiError(
            "no package source of Debian 12 (suite bookworm, component main, Debian's key) in /etc/apt: "
            "add one, for example by restoring /etc/apt/sources.list.d/debian.sources"
        )
    tar, disk = folder / "root.tar", folder / "disk.raw"
    with _apt_folder(sources) as apt:
        fetch_packages(_mmdebstrap(rights, apt, tar), progress)
    progress("making a bootable disk")
    script = [*rights.prefix, "sh", str(RECIPE / "make-disk.sh"), str(tar), str(RECIPE), str(disk), str(SIZE_GIB)]
    run_tool(script, "make-disk.sh", LIMIT_S, _ignore)
    progress("compressing the disk")
    options = ["-c", "-O", "qcow2", "-o", "compression_type=zstd", "-m", str(min(os.cpu_count() or 1, 8))]
    run_tool(["qemu-img", "convert", *options, str(disk), str(target)], "qemu-img", LIMIT_S, _ignore)


def fetch_packages(command: list[str], progress: Progress) -> None:
    """Run mmdebstrap; ask package sources that gave no usable answer once more. Raises SourceOmiError."""
    try:
        run_tool(command, "mmdebstrap", LIMIT_S, _package_progress(progress), FETCHING)
    except PackageSourceError as error:
        progress(f"{error}; asking once more")
        run_tool(command, "mmdebstrap", LIMIT_S, _package_progress(progress), FETCHING)


def remove_scratch(folder: Path) -> None:
    """Remove a scratch folder, also the files in it that a killed build left to a subordinate id."""
    shutil.rmtree(folder, ignore_errors=True)
    if folder.exists():
        rights = privilege(os.geteuid(), _user())
        run_tool([*rights.prefix, "rm", "-rf", str(folder)], "rm", LIMIT_S, _ignore)


def packages() -> tuple[str, ...]:
    """Names of the Debian packages asked for; what they depend on comes with them."""
    return tuple((RECIPE / "packages.txt").read_text(encoding="utf-8").split())


def _require_tools() -> None:
    missing = sorted({package for tool, package in TOOLS.items() if shutil.which(tool, path=_path()) is None})
    if not MBR.is_file():
        missing.append("syslinux-common")
    if missing:
        raise SourceOmiError(f"the source OMI cannot be made without: apt-get install {' '.join(missing)}")


def _path() -> str:
    return f"{os.environ.get('PATH', os.defpath)}:/usr/sbin:/sbin"


@contextmanager
def _apt_folder(sources: Iterable[str]) -> Iterator[Path]:
    """A folder with this machine's apt settings for mmdebstrap: in files, as proxies and URIs may hold passwords.

    The subordinate ids must be able to read it, and often can't read a cache below somebody's home. Hence the temporary
    folder, under a name that nobody can guess or list.
    """
    with tempfile.TemporaryDirectory(prefix="source-omi-") as name:
        folder = Path(name)
        folder.chmod(0o711)
        for file, lines in (("sources.list", sources), ("apt.conf", _apt_settings())):
            (folder / file).write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
            (folder / file).chmod(0o644)
        yield folder


def _mmdebstrap(rights: Privilege, apt: Path, tar: Path) -> list[str]:
    return [
        "mmdebstrap",
        f"--mode={rights.mode}",
        "--variant=minbase",
        "--architectures=amd64",
        f"--aptopt={apt / 'apt.conf'}",
        *(f"--dpkgopt={option}" for option in DPKG_OPTIONS),
        f"--include={','.join(packages())}",
        "bookworm",
        str(tar),
        str(apt / "sources.list"),
    ]


def _apt_settings() -> list[str]:
    dump = subprocess.run(
        ["apt-config", "dump"], env=plain("APT_CONFIG"), capture_output=True, text=True, timeout=30, check=False
    )
    return [line for line in dump.stdout.splitlines() if _APT_SETTING.match(line) and not line.endswith(' "";')]


def _package_progress(progress: Progress) -> Progress:
    """Turns mmdebstrap's own lines into ours."""
    steps = {
        "running apt-get update": "asking the package sources",
        "downloading packages": "downloading the base packages",
        "extracting archives": "unpacking the base packages",
        "installing essential": "installing the base packages",
        "installing remaining packages": f"installing {len(packages())} packages and what they need",
        "creating tarball": "packing the root file system",
    }

    def report(line: str) -> None:
        for start, said in steps.items():
            if line.startswith(f"I: {start}"):
                progress(said)

    return report


def _ignore(_line: str) -> None:
    return None


def run_tool(command: list[str], name: str, limit_s: float, on_line: Progress, variables: Sequence[str] = ()) -> None:
    """Run a tool, give each line of its output to `on_line`. Raises SourceOmiError with the reason in one line.

    `variables` are those of this process that it gets besides the usual ones.
    """
    tail: deque[str] = deque(maxlen=40)
    timed_out = threading.Event()
    with subprocess.Popen(
        command,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        env={**plain(*variables), "PATH": _path(), "LC_ALL": "C"},
        start_new_session=True,
    ) as process:

        def end() -> None:
            timed_out.set()
            # SIGTERM, as mmdebstrap then undoes its mounts and folders.
            os.killpg(process.pid, signal.SIGTERM)

        watchdog = threading.Timer(limit_s, end)
        watchdog.start()
        try:
            for line in process.stdout or ():
                on_line(line.rstrip())
                tail.append(_CREDENTIALS.sub("://", line.strip()))
            process.wait()
        except BaseException:
            os.killpg(process.pid, signal.SIGTERM)
            raise
        finally:
            watchdog.cancel()
    if timed_out.is_set():
        raise SourceOmiError(f"{name} was not done after {limit_s:g} s and was ended: are the package sources slow?")
    if process.returncode != 0:
        raise _failure(name, list(tail))


def _failure(name: str, tail: list[str]) -> SourceOmiError:
    telling = [
        line for line in tail if line.startswith(("dpkg: error", "E:", "mke2fs:", "unshare:", "qemu-img:"))
    ] or tail[-1:]
    for pattern, error, meaning in _FAILURES:
        line = next((line for line in [*telling, *tail] if re.search(pattern, line)), None)
        if line is not None:
            return error(f"{name}: {meaning} ({line})")
    return SourceOmiError(f"{name} failed: {telling[0] if telling else 'without a word'}")
