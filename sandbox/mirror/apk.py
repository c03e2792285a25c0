"""Alpine's v2 package and index format: write it, sign it, read it back.

A package is three gzip members in one file, each a tar archive: the signature (over the second member's bytes), the
control data (`.PKGINFO`, scripts) and the files. The first two archives have no end mark, so that the whole is one
tar stream. An index (`APKINDEX.tar.gz`) is a signature member followed by one member with the text.
Source: apk-tools' documentation apk-v2(5) and apk-package(5).
"""

from __future__ import annotations

import base64
import gzip
import hashlib
import io
import tarfile
import zlib
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from sandbox.mirror.errors import MirrorError
from sandbox.mirror.package import ARCH, Directory, Entry, FileOwner, Package, PackageFile, Symlink
from sandbox.mirror.signing import SigningKey

COMPRESSION = 6
CHECKSUM = "APK-TOOLS.checksum.SHA1"
_END_OF_ARCHIVE = b"\0" * 1024
_SIGNATURE_PREFIX = ".SIGN.RSA."
# .PKGINFO's names and the letters that an index uses for them
_LETTERS = {
    "pkgname": "P",
    "pkgver": "V",
    "arch": "A",
    "size": "I",
    "pkgdesc": "T",
    "url": "U",
    "license": "L",
    "origin": "o",
    "maintainer": "m",
    "builddate": "t",
    "commit": "c",
    "provider_priority": "k",
    "depend": "D",
    "provides": "p",
    "install_if": "i",
    "replaces": "r",
}


@dataclass(frozen=True)
class ApkFile:
    """The members of a package file, as bytes and as the text that counts."""

    signature: bytes
    control: bytes
    pkginfo: tuple[tuple[str, str], ...]
    size: int


def write_package(package: Package, key: SigningKey) -> bytes:
    """The signed package file; the same package and key give the same bytes."""
    data = _gzip(_tar(_tar_entries(package.entries, package.build_date)) + _END_OF_ARCHIVE)
    installed_size = sum(len(entry.data) for entry in package.entries if isinstance(entry, PackageFile))
    info = "".join(f"{name} = {value}\n" for name, value in _pkginfo(package, installed_size, data))
    members = [_member(".PKGINFO", info.encode(), package.build_date)]
    members += [
        _member(f".{kind}", text, package.build_date, mode=0o755) for kind, text in sorted(package.scripts.items())
    ]
    control = _gzip(_tar(members))
    return _signature(control, key) + control + data


def index_record(path: Path) -> str:
    """The record of a package file for an index (without the empty line at its end)."""
    apk = read_package(path)
    fields = _fields(apk)
    identity = hashlib.sha1(apk.control, usedforsecurity=False).digest()
    lines = [f"C:Q1{base64.b64encode(identity).decode()}"]
    for name, letter in _LETTERS.items():
        if name == "size":
            lines.append(f"S:{apk.size}")
        if name in fields:
            lines.append(f"{letter}:{' '.join(fields[name])}")
    return "\n".join(lines)


def write_index(records: Iterable[str], description: str, key: SigningKey) -> bytes:
    """A signed APKINDEX.tar.gz with the given records."""
    text = "".join(f"{record}\n\n" for record in sorted(records))
    members = [_member("DESCRIPTION", description.encode(), 0), _member("APKINDEX", text.encode(), 0)]
    body = _gzip(_tar(members) + _END_OF_ARCHIVE)
    return _signature(body, key) + body


def read_package(path: Path) -> ApkFile:
    """The signature and control members of a package file; MirrorError if it is not a v2 package."""
    content = path.read_bytes()
    try:
        signature, rest = split_member(content)
        control, _ = split_member(rest)
        with tarfile.open(fileobj=io.BytesIO(gzip.decompress(control) + _END_OF_ARCHIVE)) as archive:
            member = archive.extractfile(".PKGINFO")
            text = member.read().decode() if member else ""
    except (zlib.error, EOFError, OSError, tarfile.TarError, KeyError, UnicodeDecodeError) as error:
        raise MirrorError(
            f"{path} is not an Alpine v2 package ({error}): delete the mirror and make it again"
        ) from None
    info = tuple((name, value) for name, mark, value in (line.partition(" = ") for line in text.splitlines()) if mark)
    return ApkFile(signature, control, info, len(content))


def unpack(path: Path) -> Package:
    """The whole package of a file."""
    apk = read_package(path)
    fields = _fields(apk)

    def one(name: str) -> str:
        return fields.get(name, [""])[0]

    return Package(
        name=one("pkgname"),
        version=one("pkgver"),
        description=one("pkgdesc"),
        url=one("url"),
        license=one("license"),
        origin=one("origin"),
        maintainer=one("maintainer"),
        build_date=int(one("builddate")),
        commit=one("commit"),
        depends=tuple(fields.get("depend", ())),
        provides=tuple(fields.get("provides", ())),
        replaces=tuple(fields.get("replaces", ())),
        install_if=one("install_if"),
        replaces_priority=one("replaces_priority"),
        provider_priority=one("provider_priority"),
        triggers=one("triggers"),
        scripts=_scripts(apk.control),
        entries=read_files(path),
    )


def _fields(apk: ApkFile) -> dict[str, list[str]]:
    fields: dict[str, list[str]] = {}
    for name, value in apk.pkginfo:
        fields.setdefault(name, []).append(value)
    return fields


def _scripts(control: bytes) -> dict[str, bytes]:
    with tarfile.open(fileobj=io.BytesIO(gzip.decompress(control) + _END_OF_ARCHIVE)) as archive:
        named = ((member.name, archive.extractfile(member)) for member in archive if member.name != ".PKGINFO")
        return {name.removeprefix("."): file.read() for name, file in named if file is not None}


def read_files(path: Path) -> tuple[Entry, ...]:
    """The entries of a package file's data member."""
    content = path.read_bytes()
    data = split_member(split_member(content)[1])[1]
    entries: list[Entry] = []
    with tarfile.open(fileobj=io.BytesIO(gzip.decompress(data))) as archive:
        for info in archive:
            owner = FileOwner(info.uid, info.gid, info.uname, info.gname)
            if info.isdir():
                entries.append(Directory(info.name, info.mode, owner))
            elif info.issym():
                entries.append(Symlink(info.name, info.linkname))
            else:
                member = archive.extractfile(info)
                entries.append(PackageFile(info.name, member.read() if member else b"", info.mode, owner))
    return tuple(entries)


def split_member(content: bytes) -> tuple[bytes, bytes]:
    """The first gzip member of `content`, still compressed, and the rest; zlib.error if there is none."""
    decompressor = zlib.decompressobj(wbits=31)
    decompressor.decompress(content)
    if not decompressor.eof:
        raise zlib.error("the gzip member is cut short")
    cut = len(content) - len(decompressor.unused_data)
    return content[:cut], content[cut:]


def _pkginfo(package: Package, size: int, data: bytes) -> list[tuple[str, str]]:
    single = [
        ("pkgname", package.name),
        ("pkgver", package.version),
        ("pkgdesc", package.description),
        ("url", package.url),
        ("builddate", str(package.build_date)),
        ("size", str(size)),
        ("arch", ARCH),
        ("origin", package.origin),
        ("commit", package.commit),
        ("maintainer", package.maintainer),
        ("replaces_priority", package.replaces_priority),
        ("provider_priority", package.provider_priority),
        ("license", package.license),
        ("install_if", package.install_if),
        ("triggers", package.triggers),
    ]
    many = [("depend", value) for value in package.depends]
    many += [("replaces", value) for value in package.replaces]
    many += [("provides", value) for value in package.provides]
    return [(n, v) for n, v in single if v] + many + [("datahash", hashlib.sha256(data).hexdigest())]


def _tar_entries(entries: Iterable[Entry], build_date: int) -> list[tuple[tarfile.TarInfo, bytes]]:
    members = []
    for entry in entries:
        info = tarfile.TarInfo(entry.path)
        info.mtime = build_date
        info.uname = info.gname = "root"
        data = b""
        if isinstance(entry, Symlink):
            info.type, info.linkname, info.mode = tarfile.SYMTYPE, entry.target, 0o777
            info.pax_headers = {CHECKSUM: _sha1(entry.target.encode())}
        else:
            owner = entry.owner
            info.mode, info.uid, info.gid, info.uname, info.gname = (
                entry.mode,
                owner.uid,
                owner.gid,
                owner.user,
                owner.group,
            )
        if isinstance(entry, Directory):
            info.type = tarfile.DIRTYPE
        elif isinstance(entry, PackageFile):
            data, info.size = entry.data, len(entry.data)
            info.pax_headers = {CHECKSUM: _sha1(entry.data)}
        members.append((info, data))
    return members


def _member(name: str, data: bytes, build_date: int, mode: int = 0o644) -> tuple[tarfile.TarInfo, bytes]:
    info = tarfile.TarInfo(name)
    info.size, info.mode, info.mtime = len(data), mode, build_date
    info.uname = info.gname = "root"
    return info, data


def _tar(members: Iterable[tuple[tarfile.TarInfo, bytes]]) -> bytes:
    """The archive without its end mark."""
    buffer = io.BytesIO()
    archive = tarfile.open(fileobj=buffer, mode="w", format=tarfile.PAX_FORMAT)  # noqa: SIM115 - its close() pads
    for info, data in members:
        archive.addfile(info, io.BytesIO(data))
    return buffer.getvalue()[: archive.offset]


def _signature(signed: bytes, key: SigningKey) -> bytes:
    return _gzip(_tar([_member(f"{_SIGNATURE_PREFIX}{key.name}", key.sign(signed), 0)]))


def _gzip(data: bytes) -> bytes:
    return gzip.compress(data, compresslevel=COMPRESSION, mtime=0)


def _sha1(data: bytes) -> str:
    return hashlib.sha1(data, usedforsecurity=False).hexdigest()
