"""Signed indexes of made-up packages, and keys to sign them with."""

from __future__ import annotations

import gzip
import io
import tarfile
from collections.abc import Mapping
from functools import cached_property

from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa


class Key:
    """An RSA key called NAME.rsa.pub."""

    def __init__(self, name: str = "test-1234.rsa.pub") -> None:
        self.name = name

    @cached_property
    def _private(self) -> rsa.RSAPrivateKey:
        return rsa.generate_private_key(public_exponent=65537, key_size=2048)

    @property
    def pem(self) -> str:
        encoding, form = serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
        return self._private.public_key().public_bytes(encoding, form).decode()

    @property
    def trusted(self) -> dict[str, str]:
        return {self.name: self.pem}

    def sign(self, data: bytes, kind: str = "RSA") -> bytes:
        algorithm = hashes.SHA256() if kind == "RSA256" else hashes.SHA1()  # noqa: S303 - apk's format asks for it
        return self._private.sign(data, padding.PKCS1v15(), algorithm)


def index_text(packages: Mapping[str, str], arch: str = "x86_64") -> str:
    """An APKINDEX with these packages; versions by name."""
    return "".join(
        f"C:Q1hVd3XEX5CIJl3BM0eL2dKkYA4vo=\nP:{name}\nV:{version}\nA:{arch}\nS:1\nI:1\nT:made up\nL:MIT\no:{name}\n\n"
        for name, version in packages.items()
    )


def signed(text: str | bytes, key: Key, kind: str = "RSA", name: str = "APKINDEX") -> bytes:
    """An APKINDEX.tar.gz with this text."""
    body = gzip.compress(tar({"DESCRIPTION": b"test", name: text if isinstance(text, bytes) else text.encode()}))
    return gzip.compress(tar({f".SIGN.{kind}.{key.name}": key.sign(body, kind)}, ended=False)) + body


def tar(files: dict[str, bytes], *, ended: bool = True) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        for name, data in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
        end = archive.offset
    return buffer.getvalue() if ended else buffer.getvalue()[:end]
