"""Packages re-created from an installed Alpine root: its files and apk's own database.

The database gives every file's owner, mode and SHA-1; a file that was changed after it was installed is brought back
to its packaged text, and what can't be is an error, so that no package differs from what its database says.
"""

from __future__ import annotations

import base64
import hashlib
import re
import tarfile
from dataclasses import dataclass, field
from pathlib import Path

from sandbox.mirror.errors import MirrorError
from sandbox.mirror.package import ARCH, Directory, Entry, FileOwner, Package, PackageFile, Symlink, in_archive_order

DATABASE = "lib/apk/db"
# accounts that the maker of the image, or a package's script, added to the packaged files
_ADDED_ACCOUNTS = ("dhcpcd", "klogd", "quicksand")
_HOSTS = "127.0.0.1\tlocalhost localhost.localdomain\n::1\t\tlocalhost localhost.localdomain\n"


@dataclass
class _Record:
    fields: dict[str, str] = field(default_factory=dict)
    folders: dict[str, tuple[int, int, int]] = field(default_factory=dict)
    files: dict[str, tuple[tuple[int, int, int], bytes]] = field(default_factory=dict)


@dataclass(frozen=True)
class _Accounts:
    users: dict[int, str]
    groups: dict[int, str]

    def owner(self, uid: int, gid: int) -> FileOwner:
        return FileOwner(uid, gid, self.users.get(uid, str(uid)), self.groups.get(gid, str(gid)))


def read_installed(root: Path) -> tuple[Package, ...]:
    """Every package of an unpacked root, complete; MirrorError names a file that can't be restored."""
    database = root / DATABASE
    scripts = _read_scripts(database / "scripts.tar.gz")
    triggers = _read_triggers(database / "triggers")
    accounts = _Accounts(_numbers(root / "etc/passwd"), _numbers(root / "etc/group"))
    return tuple(
        _package(root, record, accounts, scripts.get(record.fields["C"], {}), triggers.get(record.fields["C"], ""))
        for record in _read_records((database / "installed").read_text(encoding="utf-8"))
    )


def _read_records(text: str) -> list[_Record]:
    records: list[_Record] = []
    for block in text.split("\n\n"):
        record, folder, path = _Record(), "", ""
        for line in block.splitlines():
            letter, value = line[0], line[2:]
            match letter:
                case "F":
                    folder = value
                    record.folders[folder] = (0, 0, 0o755)
                case "M":
                    record.folders[folder] = _ownership(value)
                case "R":
                    path = f"{folder}/{value}" if folder else value
                    record.files[path] = ((0, 0, 0o644), b"")
                case "a":
                    record.files[path] = (_ownership(value), record.files[path][1])
                case "Z":
                    record.files[path] = (record.files[path][0], base64.b64decode(value[2:]))
                case _:
                    record.fields[letter] = value
        if record.fields:
            records.append(record)
    return records


def _ownership(text: str) -> tuple[int, int, int]:
    uid, gid, mode = text.split(":")[:3]
    return int(uid), int(gid), int(mode, 8)


def _read_scripts(path: Path) -> dict[str, dict[str, bytes]]:
    """By package identity (`Q1...`): its scripts by kind."""
    scripts: dict[str, dict[str, bytes]] = {}
    with tarfile.open(path) as archive:
        for member in archive:
            found = re.fullmatch(r".*\.X1([0-9a-f]{40})\.([a-z-]+)", member.name)
            content = archive.extractfile(member)
            if found is None or content is None:
                raise MirrorError(
                    f"{path} holds {member.name}, which is not a package script: the image is not as pinned"
                )
            identity = "Q1" + base64.b64encode(bytes.fromhex(found[1])).decode()
            scripts.setdefault(identity, {})[found[2]] = content.read()
    return scripts


def _read_triggers(path: Path) -> dict[str, str]:
    pairs = (line.partition(" ") for line in path.read_text(encoding="utf-8").splitlines())
    return {identity: folders for identity, _, folders in pairs}


def _numbers(path: Path) -> dict[int, str]:
    rows = (line.split(":") for line in path.read_text(encoding="utf-8").splitlines() if line)
    return {int(row[2]): row[0] for row in rows}


def _package(root: Path, record: _Record, accounts: _Accounts, scripts: dict[str, bytes], triggers: str) -> Package:
    fields = record.fields
    entries: list[Entry] = [
        Directory(path, mode, accounts.owner(uid, gid)) for path, (uid, gid, mode) in record.folders.items() if path
    ]
    for path, ((uid, gid, mode), checksum) in record.files.items():
        entries.append(_entry(root, path, mode, accounts.owner(uid, gid), checksum))
    if fields["A"] not in (ARCH, "noarch"):
        raise MirrorError(f"package {fields['P']} is for {fields['A']}, not {ARCH}: the image is not as pinned")
    return Package(
        name=fields["P"],
        version=fields["V"],
        description=fields.get("T", ""),
        url=fields.get("U", ""),
        license=fields.get("L", ""),
        origin=fields.get("o", fields["P"]),
        maintainer=fields.get("m", ""),
        build_date=int(fields["t"]),
        commit=fields.get("c", ""),
        depends=tuple(fields.get("D", "").split()),
        provides=tuple(fields.get("p", "").split()),
        replaces=tuple(fields.get("r", "").split()),
        install_if=fields.get("i", ""),
        replaces_priority=fields.get("q", ""),
        provider_priority=fields.get("k", ""),
        triggers=triggers,
        scripts=scripts,
        entries=in_archive_order(tuple(entries)),
    )


def _entry(root: Path, path: str, mode: int, owner: FileOwner, checksum: bytes) -> Entry:
    place = root / path
    if place.is_symlink():
        for target in (str(place.readlink()), "../proc/mounts"):
            if _matches(target.encode(), checksum):
                return Symlink(path, target)
        raise MirrorError(f"/{path} of the pinned image points elsewhere than its package says")
    data = place.read_bytes()
    if _matches(data, checksum):
        return PackageFile(path, data, mode, owner)
    for candidate in _packaged_texts(path, data.decode(errors="replace")):
        if _matches(candidate.encode(), checksum):
            return PackageFile(path, candidate.encode(), mode, owner)
    raise MirrorError(f"/{path} of the pinned image can't be brought back to its packaged text")


def _matches(data: bytes, checksum: bytes) -> bool:
    return hashlib.sha1(data, usedforsecurity=False).digest() == checksum


def _packaged_texts(path: str, text: str) -> tuple[str, ...]:
    """The possible original texts of a changed configuration file."""
    lines = text.splitlines(keepends=True)
    match path:
        case "etc/passwd" | "etc/group" | "etc/shadow":
            kept = "".join(line for line in lines if line.split(":")[0] not in _ADDED_ACCOUNTS)
            return kept, re.sub(r"^root:[^:]*:[^:]*:", "root:::", kept, flags=re.MULTILINE)
        case "etc/hostname":
            return ("localhost\n",)
        case "etc/hosts":
            return (_HOSTS,)
        case "etc/modules":
            return ("".join(line for line in lines if line.strip() in ("af_packet", "ipv6")),)
        case "etc/rc.conf":
            for changed, packaged in (
                ('rc_parallel="YES"', '#rc_parallel="NO"'),
                ('rc_sys="lxc"', '#rc_sys=""'),
                ('rc_controller_cgroups="NO"', '#rc_controller_cgroups="YES"'),
            ):
                text = re.sub(f"^{changed}$", packaged, text, flags=re.MULTILINE)
            return (text,)
        case _:
            return ()
