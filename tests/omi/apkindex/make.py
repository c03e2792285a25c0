"""Signed indexes of made-up packages, and keys to sign them with."""

from __future__ import annotations

import base64
import gzip
import hashlib
import io
import tarfile
from collections.abc import Iterable
from functools import cached_property

from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa

from omi.apkindex.read import Package


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


def package(name: str, version: str = "1-r0", **values: str | int) -> Package:
    """`depends`, `provides` and `install_if` as in an index."""
    texts = {f"{key}_text": str(values.pop(key)) for key in ("depends", "provides", "install_if") if key in values}
    return Package(name, version, str(values.pop("origin", name)), **texts, **values)  # type: ignore[arg-type]


def index_text(packages: Iterable[Package]) -> str:
    return "".join(f"{record(each)}\n\n" for each in packages)


def record(each: Package, arch: str = "x86_64") -> str:
    fields = {
        "P": each.name, "V": each.version, "A": arch, "S": "1", "I": "1", "T": "made up", "U": "u", "L": "MIT",
        "o": each.origin, "k": str(each.priority or ""), "D": each.depends_text, "p": each.provides_text,
        "i": each.install_if_text,
    }  # fmt: skip
    text = "\n".join(f"{letter}:{value}" for letter, value in fields.items() if value)
    return f"C:Q1{base64.b64encode(hashlib.sha1(text.encode(), usedforsecurity=False).digest()).decode()}\n{text}"


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
