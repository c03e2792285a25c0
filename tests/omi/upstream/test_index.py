"""What of an index is believed, and what is read from it."""

from __future__ import annotations

import gzip

import pytest

from omi.upstream import signature
from omi.upstream.index import Index, Packaged, names_in, read_index
from omi.upstream.signature import UnreadableError, UntrustedError
from tests.omi.upstream.packages import Key, index_text, signed, tar

WHERE = "https://mirror/v3.23/main/x86_64/APKINDEX.tar.gz"
KEY, OTHER = Key(), Key("other-5678.rsa.pub")
TEXT = index_text({"musl": "1.2.5-r23"})


@pytest.mark.parametrize("kind", ["RSA", "RSA256"])
def test_a_signed_index_is_read(kind: str) -> None:
    read = read_index(signed(TEXT, KEY, kind), KEY.trusted | OTHER.trusted, "x86_64", WHERE)
    assert read == Index({"musl": ("1.2.5-r23",)}, {"musl": "musl"})


def test_a_key_that_is_not_trusted_is_named() -> None:
    with pytest.raises(UntrustedError, match=rf"{WHERE}: is signed by {KEY.name}, which is not trusted"):
        read_index(signed(TEXT, KEY), OTHER.trusted, "x86_64", WHERE)


def test_a_signature_of_another_key_of_that_name_is_wrong() -> None:
    with pytest.raises(UntrustedError, match=rf"{WHERE}: the signature by {KEY.name} is wrong"):
        read_index(signed(TEXT, KEY), Key().trusted, "x86_64", WHERE)


def test_a_changed_index_is_refused() -> None:
    data, other = signed(TEXT, KEY), signed(TEXT.replace("1.2.5", "1.2.4"), KEY)
    mixed = data[: len(data) - len(body(data))] + body(other)
    with pytest.raises(UntrustedError, match=KEY.name):
        read_index(mixed, KEY.trusted, "x86_64", WHERE)


def test_a_signature_of_the_wrong_kind_is_refused() -> None:
    data = signed(TEXT, KEY)
    forged = gzip.compress(tar({f".SIGN.RSA256.{KEY.name}": KEY.sign(body(data))}, ended=False)) + body(data)
    with pytest.raises(UntrustedError, match=KEY.name):
        read_index(forged, KEY.trusted, "x86_64", WHERE)


@pytest.mark.parametrize("keys", [(KEY, OTHER), (OTHER, KEY)], ids=["the second wrong", "the first wrong"])
def test_of_several_signatures_by_trusted_keys_each_must_be_right(keys: tuple[Key, Key]) -> None:
    content = body(signed(TEXT, KEY))
    files = {f".SIGN.RSA.{key.name}": KEY.sign(content) for key in keys}
    with pytest.raises(UntrustedError, match=f"the signature by {OTHER.name} is wrong"):
        read_index(gzip.compress(tar(files, ended=False)) + content, KEY.trusted | OTHER.trusted, "x86_64", WHERE)


@pytest.mark.parametrize("files", [{}, {"README": b"x"}, {f".SIGN.DSA.{KEY.name}": b"x"}, {".SIGN.RSA.a/b": b"x"}])
def test_an_index_without_a_signature_is_refused(files: dict[str, bytes]) -> None:
    data = gzip.compress(tar(files)) + body(signed(TEXT, KEY))
    with pytest.raises(UntrustedError, match="no signature"):
        read_index(data, KEY.trusted, "x86_64", WHERE)


def test_what_follows_the_signed_part_is_not_read() -> None:
    data = signed(TEXT, KEY) + gzip.compress(tar({"APKINDEX": b"P:evil\nV:1\n\n"}))
    assert list(read_index(data, KEY.trusted, "x86_64", WHERE).versions) == ["musl"]


def test_a_trusted_key_that_is_none_is_named() -> None:
    with pytest.raises(UntrustedError, match=rf"{KEY.name} is wrong: the key can't be read"):
        read_index(signed(TEXT, KEY), {KEY.name: "no key"}, "x86_64", WHERE)


NO_INDEX = {
    "nothing": b"",
    "a page": b"<html>please log in</html>",
    "compressed text": gzip.compress(b"hello"),
    "cut short": signed(TEXT, KEY)[:-9],
    "no archive": gzip.compress(b"no tar" * 300) + gzip.compress(b"x"),
    "another file": signed(TEXT, KEY, name="OTHER"),
    "no text": signed(b"P:\xff\n\n", KEY),
    "a name alone": signed("P:name without version\n\n", KEY),
}


@pytest.mark.parametrize("data", NO_INDEX.values(), ids=NO_INDEX.keys())
def test_what_is_no_index_is_said_to_be_none(data: bytes) -> None:
    with pytest.raises(UnreadableError, match=WHERE):
        read_index(data, KEY.trusted, "x86_64", WHERE)


def test_an_index_that_unpacks_to_too_much_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    data = signed("T:" + "x" * 2_000_000 + "\n", KEY)
    monkeypatch.setattr(signature, "MAX_UNPACKED", 1_000_000)
    with pytest.raises(UnreadableError, match="longer than an index may be"):
        read_index(data, KEY.trusted, "x86_64", WHERE)


def test_packages_of_another_architecture_are_passed_over_and_every_version_is_kept() -> None:
    text = "".join(
        index_text({name: version}, arch)
        for name, version, arch in (
            ("a", "1-r0", "x86_64"), ("b", "1-r0", "aarch64"), ("c", "1-r0", "noarch"), ("a", "2-r0", "x86_64"),
        )
    )  # fmt: skip
    read = read_index(signed(text, KEY), KEY.trusted, "x86_64", WHERE)
    assert read.versions == {"a": ("1-r0", "2-r0"), "c": ("1-r0",)}


def test_what_packages_need_and_bring_is_read() -> None:
    text = "P:nginx-openrc\nV:1-r0\nA:x86_64\no:nginx\nD:openrc !old>1\np:cmd:x=1\ni:nginx=1-r0 openrc\n\n"
    (package,) = read_index(signed(text, KEY), KEY.trusted, "x86_64", WHERE).packages
    assert package == Packaged("nginx-openrc", "1-r0", "nginx", "openrc !old>1", "cmd:x=1", "nginx=1-r0 openrc")
    assert [names_in(text) for text in package[3:]] == [["openrc"], ["cmd:x"], ["nginx", "openrc"]]


def test_an_empty_repository_is_fine() -> None:
    assert read_index(signed("", KEY), KEY.trusted, "x86_64", WHERE) == Index()


def body(data: bytes) -> bytes:
    return data[data.index(b"\x1f\x8b\x08", 1) :]
