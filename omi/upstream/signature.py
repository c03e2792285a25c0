"""Checks signatures of Alpine's indexes: RSA over the second gzip member; the first names the key."""

from __future__ import annotations

import io
import re
import tarfile
import zlib
from collections.abc import Iterator, Mapping

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.hazmat.primitives.serialization import load_pem_public_key

from omi.support.errors import UpstreamError

MAX_UNPACKED = 256 * 1024 * 1024
"""Bytes; the largest index of Alpine's unpacks to about 20 MiB."""
_MAX_SIGNATURE = 64 * 1024
_NAME = re.compile(r"\.SIGN\.(RSA|RSA256)\.([A-Za-z0-9@._+-]+)")
_END_OF_ARCHIVE = b"\0" * 1024


class UntrustedError(UpstreamError):
    """An index lacks a valid signature by a trusted key; it must not be used."""


class UnreadableError(UpstreamError):
    """The answer is not an index: the mirror is broken, or something else answers in its place."""


def signed_content(data: bytes, keys: Mapping[str, str], where: str) -> bytes:
    """The unpacked archive under the signature. `keys` are PEM texts by file name, `where` names the index.

    Raises UntrustedError if it isn't signed by one of the keys, UnreadableError if it isn't an index.
    """
    first, rest = _cut_member(data, _MAX_SIGNATURE, where)
    second, content_end = _cut_member(rest, MAX_UNPACKED, where)
    signed = rest[: len(rest) - len(content_end)]
    found = [(match[2], match[1], made) for name, made in members(first, where) if (match := _NAME.fullmatch(name))]
    if not found:
        raise UntrustedError(f"{where}: carries no signature that is known here; set upstream.mirror to another mirror")
    trusted = [(name, digest, made) for name, digest, made in found if name in keys]
    if not trusted:
        names = sorted(name for name, _, _ in found)
        raise UntrustedError(
            f"{where}: is signed by {', '.join(names)}, which is not trusted; name the key in the profile's `keys` "
            "or in vm.trusted_keys, or set upstream.mirror to another mirror"
        )
    for name, digest, made in trusted:
        _verify(keys[name], digest, made, signed, f"{where}: the signature by {name} is wrong")
    return second


def _verify(pem: str, digest: str, signature: bytes, signed: bytes, what: str) -> None:
    try:
        key = load_pem_public_key(pem.encode("ascii"))
    except (ValueError, UnsupportedAlgorithm) as error:
        raise UntrustedError(f"{what}: the key can't be read; put the key's file right") from error
    # apk's format v2 signs with SHA-1 unless it is asked otherwise (apk-v2(5))
    algorithm = hashes.SHA256() if digest == "RSA256" else hashes.SHA1()  # noqa: S303
    cure = "the file is damaged or forged: set upstream.mirror to another mirror"
    if not isinstance(key, RSAPublicKey):
        raise UntrustedError(f"{what}: the key is not an RSA key; put the key's file right")
    try:
        key.verify(signature, signed, PKCS1v15(), algorithm)
    except InvalidSignature as error:
        raise UntrustedError(f"{what}; {cure}") from error


def members(archive: bytes, where: str) -> Iterator[tuple[str, bytes]]:
    """Name and content of each file in a tar archive, which may lack its end mark."""
    try:
        with tarfile.open(fileobj=io.BytesIO(archive + _END_OF_ARCHIVE), mode="r:") as tar:
            for member in tar:
                file = tar.extractfile(member) if member.isfile() else None
                if file is not None:
                    yield member.name, file.read()
    except (tarfile.TarError, ValueError, OSError) as error:
        raise UnreadableError(f"{where}: is not a package index: {error}") from error


def _cut_member(data: bytes, limit: int, where: str) -> tuple[bytes, bytes]:
    """The first gzip member, unpacked, and the rest."""
    unpacking = zlib.decompressobj(wbits=31)
    try:
        content = unpacking.decompress(data, limit)
    except zlib.error as error:
        raise UnreadableError(f"{where}: is not a package index: {error}") from error
    if not unpacking.eof:
        problem = "is longer than an index may be" if unpacking.unconsumed_tail else "is cut short"
        raise UnreadableError(f"{where}: {problem}")
    return content, unpacking.unused_data
