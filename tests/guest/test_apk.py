"""Nothing is run that a trusted key has not signed: every way to slip something in is refused."""

from __future__ import annotations

import io
import re
import subprocess
import tarfile
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, padding

from sandbox.mirror import apk
from sandbox.mirror.package import Package, PackageFile, with_parents
from sandbox.mirror.signing import SigningKey, new_key
from tests.guest.shell import run_functions

PROGRAM = b'#!/bin/sh\necho "apk-tools 3.0.8 (test)"\n'
PACKAGE = Package(
    name="apk-tools-static",
    version="3.0.8-r0",
    description="apk",
    url="",
    license="",
    origin="apk-tools",
    maintainer="",
    build_date=0,
    entries=with_parents(
        (PackageFile("sbin/apk.static", PROGRAM, 0o755), PackageFile("sbin/filler", bytes(range(256)) * 400))
    ),
)
MUSL = replace(PACKAGE, name="musl", version="1.2.5-r23")


@pytest.fixture(scope="module")
def key() -> SigningKey:
    return new_key()


class Mirror:
    """A branch with two packages, and the keys that are trusted."""

    def __init__(self, folder: Path, key: SigningKey) -> None:
        self.folder = folder
        self.key = key
        self.place = folder / "mirror/v3.23/main/x86_64"
        self.place.mkdir(parents=True)
        (folder / "keys").mkdir()
        (folder / "keys" / key.name).write_bytes(key.public_pem)
        self.package = self.put(PACKAGE, key)
        self.put(MUSL, key)
        self.index(key)

    def put(self, package: Package, key: SigningKey) -> Path:
        path = self.place / package.file_name
        path.write_bytes(apk.write_package(package, key))
        return path

    def index(self, key: SigningKey) -> None:
        packages = sorted(self.place.glob("*.apk"))
        (self.place / "APKINDEX.tar.gz").write_bytes(apk.write_index(map(apk.index_record, packages), "v3.23", key))

    def get(self) -> subprocess.CompletedProcess[str]:
        return run_functions(
            'get_apk; echo "APK=$APK"',
            self.folder,
            MIRROR=f"file://{self.folder}/mirror",
            BRANCH="v3.23",
            ARCH="x86_64",
            KEYS=str(self.folder / "keys"),
        )


@pytest.fixture
def mirror(tmp_path: Path, key: SigningKey) -> Mirror:
    return Mirror(tmp_path, key)


def test_a_signed_apk_is_fetched_and_runs(mirror: Mirror) -> None:
    done = mirror.get()
    assert done.returncode == 0, done.stderr
    assert "apk-tools 3.0.8 (test)" in done.stdout
    program = Path(done.stdout.rpartition("APK=")[2].strip())
    assert program.read_bytes() == PROGRAM


def flip(path: Path, where: float) -> None:
    content = bytearray(path.read_bytes())
    content[int(len(content) * where)] ^= 1
    path.write_bytes(bytes(content))


def foreign_index(mirror: Mirror) -> None:
    mirror.index(new_key())


def same_name_other_key(mirror: Mirror) -> None:
    (mirror.folder / "keys" / mirror.key.name).write_bytes(new_key().public_pem)


def damaged_index(mirror: Mirror) -> None:
    flip(mirror.place / "APKINDEX.tar.gz", 0.9)


def foreign_package(mirror: Mirror) -> None:
    mirror.put(PACKAGE, new_key())


def older_package(mirror: Mirror) -> None:
    mirror.package.write_bytes(apk.write_package(replace(PACKAGE, version="2.0-r0"), mirror.key))


def other_files(mirror: Mirror) -> None:
    evil = replace(PACKAGE, entries=with_parents((PackageFile("sbin/apk.static", b"#!/bin/sh\necho evil\n", 0o755),)))
    content, others = mirror.package.read_bytes(), apk.write_package(evil, mirror.key)
    signature, rest = apk.split_member(content)
    control, _ = apk.split_member(rest)
    mirror.package.write_bytes(signature + control + apk.split_member(apk.split_member(others)[1])[1])


def appended_files(mirror: Mirror) -> None:
    other = apk.write_package(PACKAGE, mirror.key)
    mirror.package.write_bytes(mirror.package.read_bytes() + apk.split_member(apk.split_member(other)[1])[1])


def sign_index(mirror: Mirror, signatures: Mapping[str, Callable[[bytes], bytes]]) -> None:
    """Replace the index's signature by members of these names."""
    path = mirror.place / "APKINDEX.tar.gz"
    _, signed = apk.split_member(path.read_bytes())
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz") as archive:
        for name, signature in signatures.items():
            info = tarfile.TarInfo(name)
            content = signature(signed)
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
    path.write_bytes(packed.getvalue() + signed)


def rsa256(mirror: Mirror) -> Callable[[bytes], bytes]:
    return lambda signed: mirror.key.private.sign(signed, padding.PKCS1v15(), hashes.SHA256())


def test_an_index_signed_with_sha256_is_taken(mirror: Mirror) -> None:
    sign_index(mirror, {f".SIGN.RSA256.{mirror.key.name}": rsa256(mirror)})
    done = mirror.get()
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("last", [True, False])
def test_of_several_signatures_one_by_a_trusted_key_is_enough(mirror: Mirror, *, last: bool) -> None:
    unknown, other, own = ".SIGN.DSA.old.pub", new_key(), mirror.key
    members = [(unknown, other.sign), (f".SIGN.RSA.{other.name}", other.sign), (f".SIGN.RSA.{own.name}", own.sign)]
    sign_index(mirror, dict(members if last else reversed(members)))
    done = mirror.get()
    assert done.returncode == 0, done.stderr


def other_digest(mirror: Mirror) -> None:
    sign_index(mirror, {f".SIGN.RSA.{mirror.key.name}": rsa256(mirror)})


def unknown_kind(mirror: Mirror) -> None:
    sign_index(mirror, {f".SIGN.DSA.{mirror.key.name}": mirror.key.sign})


def key_elsewhere(mirror: Mirror) -> None:
    (mirror.folder / "elsewhere.rsa.pub").write_bytes(mirror.key.public_pem)
    sign_index(mirror, {".SIGN.RSA.../elsewhere.rsa.pub": mirror.key.sign})


def key_with_a_space(mirror: Mirror) -> None:
    (mirror.folder / "keys/a b.rsa.pub").write_bytes(mirror.key.public_pem)
    sign_index(mirror, {".SIGN.RSA.a b.rsa.pub": mirror.key.sign})


def key_that_is_not_rsa(mirror: Mirror) -> None:
    own = ec.generate_private_key(ec.SECP256R1())
    public = own.public_key().public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    (mirror.folder / "keys/own.rsa.pub").write_bytes(public)
    sign_index(mirror, {".SIGN.RSA256.own.rsa.pub": lambda signed: own.sign(signed, ec.ECDSA(hashes.SHA256()))})


def no_package(mirror: Mirror) -> None:
    mirror.package.unlink()


def not_in_the_index(mirror: Mirror) -> None:
    mirror.package.unlink()
    mirror.index(mirror.key)


def no_mirror(mirror: Mirror) -> None:
    (mirror.place / "APKINDEX.tar.gz").write_text("<html>not what you asked for</html>")


def empty_index(mirror: Mirror) -> None:
    (mirror.place / "APKINDEX.tar.gz").write_bytes(b"")


@pytest.mark.parametrize(
    ("spoil", "reason"),
    [
        (foreign_index, "is not trusted"),
        (same_name_other_key, "the signature of .*APKINDEX.tar.gz is wrong"),
        (other_digest, "the signature of .*APKINDEX.tar.gz is wrong"),
        (unknown_kind, "carries no signature that is known here"),
        (key_elsewhere, "carries no signature that is known here"),
        (key_with_a_space, "carries no signature that is known here"),
        (key_that_is_not_rsa, "own.rsa.pub is not an RSA key"),
        (foreign_package, "is not trusted"),
        (older_package, "is not the one that the index names"),
        (other_files, "are not those that were signed"),
        (appended_files, "are not those that were signed"),
        (no_package, "apk-tools-static-3.0.8-r0.apk can't be fetched"),
        (not_in_the_index, "has no apk-tools-static"),
        (no_mirror, "is not a signed index or package of apk's v2 format"),
        (empty_index, "is not a signed index or package of apk's v2 format"),
        (damaged_index, "is wrong|is not a signed index"),
    ],
)
def test_anything_else_is_refused_before_it_runs(mirror: Mirror, spoil: Callable[[Mirror], None], reason: str) -> None:
    spoil(mirror)
    done = mirror.get()
    assert done.returncode == 1
    (line,) = [line for line in done.stderr.splitlines() if line.startswith("guest: ERROR: ")]
    assert re.search(reason, line), line
    assert "apk-tools 3.0.8" not in done.stdout
    assert "evil" not in done.stdout
