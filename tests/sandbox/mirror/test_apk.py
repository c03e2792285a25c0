"""The package and index format, as Alpine's own tools and openssl see it."""

from __future__ import annotations

import gzip
import hashlib
import io
import shutil
import subprocess
import tarfile
from pathlib import Path

import pytest
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding

from sandbox.mirror import apk
from sandbox.mirror.errors import MirrorError
from sandbox.mirror.package import Directory, Package, PackageFile, Symlink, in_archive_order, with_parents
from sandbox.mirror.signing import SigningKey, load_or_make_key, new_key


def signature_of(member: bytes) -> tuple[str, bytes]:
    with tarfile.open(fileobj=io.BytesIO(gzip.decompress(member) + b"\0" * 1024)) as archive:
        info = archive.getmembers()[0]
        content = archive.extractfile(info)
        assert content is not None
        return info.name, content.read()


def verify(key: SigningKey, signature: bytes, data: bytes) -> None:
    key.private.public_key().verify(signature, data, padding.PKCS1v15(), hashes.SHA1())  # noqa: S303


def test_the_signature_covers_the_control_member(package: Package, key: SigningKey) -> None:
    content = apk.write_package(package, key)
    signature_member, rest = apk.split_member(content)
    control, _ = apk.split_member(rest)
    name, signature = signature_of(signature_member)
    assert name == f".SIGN.RSA.{key.name}"
    verify(key, signature, control)
    with pytest.raises(InvalidSignature):
        verify(new_key(), signature, control)


def test_the_control_member_pins_the_data(package: Package, key: SigningKey, tmp_path: Path) -> None:
    path = tmp_path / package.file_name
    path.write_bytes(apk.write_package(package, key))
    data = apk.split_member(apk.split_member(path.read_bytes())[1])[1]
    info = dict(apk.read_package(path).pkginfo)
    assert info["datahash"] == hashlib.sha256(data).hexdigest()
    assert info["pkgname"] == "hello"
    assert info["size"] == str(len(b"#!/bin/sh\n"))


def test_every_file_carries_its_checksum(package: Package, key: SigningKey, tmp_path: Path) -> None:
    path = tmp_path / package.file_name
    path.write_bytes(apk.write_package(package, key))
    with tarfile.open(path) as archive:
        found = {info.name: info for info in archive}
    # what sha1sum says of the file's bytes and of the link's target
    for name, checksum in (
        ("usr/bin/hello", "bd971bec88149956458a10fc9c5ecb3eb99dd452"),
        ("usr/bin/hi", "aaf4c61ddcc5e8a2dabede0f3b482cd9aea9434d"),
    ):
        assert found[name].pax_headers["APK-TOOLS.checksum.SHA1"] == checksum
    assert (found[".post-install"].mode, found["usr"].mode) == (0o755, 0o755)


def test_the_same_package_gives_the_same_bytes(package: Package, key: SigningKey) -> None:
    one, two = apk.write_package(package, key), apk.write_package(package, key)
    assert one == two
    other = apk.write_package(package, new_key())
    assert other != one
    assert apk.split_member(other)[1] == apk.split_member(one)[1], "only the signature depends on the key"


def test_index_record(package: Package, key: SigningKey, tmp_path: Path) -> None:
    path = tmp_path / package.file_name
    path.write_bytes(apk.write_package(package, key))
    record = apk.index_record(path)
    lines = record.splitlines()
    assert lines[0].startswith("C:Q1")
    assert f"S:{path.stat().st_size}" in lines
    assert lines[1:4] == ["P:hello", "V:1.2-r3", "A:x86_64"]
    assert "D:musl so:libc.musl-x86_64.so.1" in lines
    assert "p:cmd:hello=1.2-r3" in lines


def test_openssl_accepts_the_index(package: Package, key: SigningKey, tmp_path: Path) -> None:
    if shutil.which("openssl") is None:
        pytest.skip("openssl is not installed")
    path = tmp_path / package.file_name
    path.write_bytes(apk.write_package(package, key))
    signature_member, signed = apk.split_member(apk.write_index([apk.index_record(path)], "v3.23 fixture", key))
    (tmp_path / "index").write_bytes(signed)
    (tmp_path / "signature").write_bytes(signature_of(signature_member)[1])
    (tmp_path / "key.pub").write_bytes(key.public_pem)
    check = ["openssl", "dgst", "-sha1", "-verify", "key.pub", "-signature", "signature", "index"]
    assert subprocess.run(check, cwd=tmp_path, capture_output=True, check=False).returncode == 0
    (tmp_path / "index").write_bytes(signed[:-1] + b"x")
    assert subprocess.run(check, cwd=tmp_path, capture_output=True, check=False).returncode != 0


def test_files_read_back(package: Package, key: SigningKey, tmp_path: Path) -> None:
    path = tmp_path / package.file_name
    path.write_bytes(apk.write_package(package, key))
    assert apk.read_files(path) == package.entries


@pytest.mark.parametrize(
    "content",
    [b"", b"not gzip", gzip.compress(b"no tar") * 3, gzip.compress(b"cut")[:-4]],
    ids=["empty", "not gzip", "no tar", "cut"],  # gzip's own bytes hold the time
)
def test_what_is_no_package_is_one_clear_line(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "broken-1-r0.apk"
    path.write_bytes(content)
    with pytest.raises(MirrorError, match=r"broken-1-r0\.apk is not an Alpine v2 package"):
        apk.read_package(path)


def test_folders_stand_before_what_they_hold() -> None:
    entries = with_parents((PackageFile("a/b/c", b""), Symlink("a-b", "x"), Directory("a/b", 0o700)))
    assert [entry.path for entry in entries] == ["a", "a/b", "a/b/c", "a-b"]
    assert next(entry for entry in entries if entry.path == "a/b") == Directory("a/b", 0o700)
    assert in_archive_order(tuple(reversed(entries))) == entries


def test_the_key_is_kept_and_private(tmp_path: Path) -> None:
    first = load_or_make_key(tmp_path / "signing")
    assert load_or_make_key(tmp_path / "signing").name == first.name
    assert (tmp_path / "signing/signing-key.pem").stat().st_mode & 0o777 == 0o600
    assert load_or_make_key(tmp_path / "other").name != first.name


def test_a_broken_key_file_says_what_to_do(tmp_path: Path) -> None:
    (tmp_path / "signing-key.pem").write_text("nonsense")
    with pytest.raises(MirrorError, match="delete it to get a new one"):
        load_or_make_key(tmp_path)
