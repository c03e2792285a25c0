"""A stand-in for tiny-cloud, which the closed network can't get: the same files, commands, services and functions.

Written after tiny-cloud's documentation and behaviour, so that providers and images made for it are really run.
"""

from __future__ import annotations

from pathlib import Path

from sandbox.mirror.package import PackageFile

FILES = Path(__file__).with_name("files") / "tiny-cloud"
VERSION = "3.4.2-r99"
"""Alpine's tiny-cloud of v3.24, with a revision that Alpine will not reach."""
NOTE = "(fixture stand-in, not Alpine's)"
_LIBRARY = "lib/tiny-cloud"
_HANDLERS = ("alpine-config", "cloud-config", "missing", "script", "unknown")
_PHASES = ("boot", "early", "main", "final")


def core_files() -> tuple[PackageFile, ...]:
    """The files of the package tiny-cloud."""
    handlers = tuple(_file(f"{_LIBRARY}/user-data/{name}", f"{name}.sh") for name in _HANDLERS)
    return (
        _file("bin/imds", "imds.sh", 0o755),
        _file("sbin/tiny-cloud", "tiny-cloud.sh", 0o755),
        _file(f"{_LIBRARY}/common", "common.sh"),
        _file(f"{_LIBRARY}/init", "init.sh"),
        _file("etc/tiny-cloud.conf", "tiny-cloud.conf"),
        *handlers,
    )


def service_files() -> tuple[PackageFile, ...]:
    """The files of the package tiny-cloud-openrc."""
    return tuple(_file(f"etc/init.d/tiny-cloud-{phase}", f"tiny-cloud-{phase}.initd", 0o755) for phase in _PHASES)


def yx_files() -> tuple[PackageFile, ...]:
    """The files of the package yx."""
    return (_file("usr/bin/yx", "yx.sh", 0o755),)


def _file(place: str, name: str, mode: int = 0o644) -> PackageFile:
    return PackageFile(place, (FILES / name).read_bytes(), mode)
