"""Keys and host names of the metadata service, and what tiny-cloud with our provider makes of them."""

from __future__ import annotations

import pytest

from tests.guest.instance import KEY, NAME, Instance

pytestmark = pytest.mark.slow

PLAIN = KEY.split()[1].decode()
ECDSA = (
    "ecdsa-sha2-nistp256 AAAAE2VjZHNhLXNoYTItbmlzdHAyNTYAAAAIbmlzdHAyNTYAAABBBL9Xd9eaVhQEAkMSqCFuJO/BXn3vMSh2ufH9JCu"
    "f4l0J7vJ0JmYJ4xYl9w3Jm0mE5m3J2sC8F0b1yXGgq1w8bqk="
)
SK = "sk-ssh-ed25519@openssh.com AAAAGnNrLXNzaC1lZDI1NTE5QG9wZW5zc2guY29tAAAAIFvVRkTxBhVaCTmkQbQfc8EdjGVPcdiTJEvYBFb7"
SK += "hBhtAAAABHNzaDo="
SK_ECDSA = f"sk-ecdsa-sha2-nistp256@openssh.com {'A' * 171}="
FROM = 'from="10.0.0.0/8,!10.9.0.0/16",no-port-forwarding'
COMMAND = r'restrict,command="echo \"a b\", $SSH_ORIGINAL_COMMAND"'
KEYS = {
    "without comment or line's end": f"ssh-ed25519 {PLAIN}",
    "RSA of 16384 bits": f"ssh-rsa {'A' * 2736}",
    "ECDSA": f"{ECDSA} me@home",
    "of a security key": f"{SK} me@home",
    "ECDSA of a security key": SK_ECDSA,
    "several in one": f"ssh-ed25519 {PLAIN} a\n{ECDSA} b\n{SK} c",
    "a comment of several words": f"ssh-ed25519 {PLAIN} Jos\u00e9's key (2026) \U0001f511 = 'x' \"y\" $z",
    "a tab before the comment": f"ssh-ed25519 {PLAIN}\tme",
    "blanks between": f"ssh-ed25519  {PLAIN}  me ",
    "options": f"{FROM} ssh-ed25519 {PLAIN} me",
    "options with quotes": f"{COMMAND} ssh-ed25519 {PLAIN} me",
}


@pytest.mark.parametrize("keys", KEYS.values(), ids=KEYS.keys())
def test_keys_go_in_as_they_are(instance: Instance, keys: str) -> None:
    instance.metadata["meta-data/public-keys/0/openssh-key"] = keys.encode()
    said = instance.boot()
    assert instance.complete(), said
    assert instance.text("home/alpine/.ssh/authorized_keys") == f"{keys}\n"


def test_a_comment_may_be_of_any_encoding(instance: Instance) -> None:
    key = KEY.replace(b"me@home", b"Jos\xe9's key")
    instance.metadata["meta-data/public-keys/0/openssh-key"] = key
    said = instance.boot()
    assert (instance.root / "home/alpine/.ssh/authorized_keys").read_bytes() == key, said


GNU_GREP = """\
#!/bin/sh
[ $# = 1 ] || exec busybox grep "$@"
text=$(cat)
if [ "${LC_ALL:-}" != C ] && printf '%s' "$text" | LC_ALL=C busybox grep -q "$(printf '[\\200-\\377]')"; then
	echo 'grep: (standard input): binary file matches'
else
	printf '%s\\n' "$text" | busybox grep "$@"
fi
"""
"""As the package grep does with bytes that are no text in the locale."""


def test_a_comment_may_be_of_any_encoding_with_the_package_grep(instance: Instance) -> None:
    grep = instance.root / "usr" / "sbin" / "grep"
    grep.write_text(GNU_GREP, encoding="utf-8")
    grep.chmod(0o755)
    test_a_comment_may_be_of_any_encoding(instance)


def test_nothing_else_goes_into_authorized_keys(instance: Instance) -> None:
    other = b"<html>\n<b> " + KEY + b"# note\nssh-ed25519 not*base64!\n\r\n"
    broken = b'command="reboot ' + KEY + b"\x1b[2Jno-pty " + KEY
    instance.metadata["meta-data/public-keys/0/openssh-key"] = other + broken + KEY.replace(b"\n", b"\r\n")
    instance.boot()
    assert instance.text("home/alpine/.ssh/authorized_keys") == KEY.decode()


LONG = b"a" * 63
NAMES = {
    "with a domain": (NAME, "ip-10-0-0-5"),
    "without": (b"Web1", "Web1"),
    "63 characters": (LONG, LONG.decode()),
    "64 with the domain": (b"a" * 50 + b".example.test.", "a" * 50),
    "63 and a domain": (LONG + b".eu-west-2.compute.internal", LONG.decode()),
}


@pytest.mark.parametrize(("name", "short"), NAMES.values(), ids=NAMES.keys())
def test_a_host_name_is_taken_up_to_its_first_dot(instance: Instance, name: bytes, short: str) -> None:
    instance.metadata["meta-data/local-hostname"] = name
    said = instance.boot()
    assert instance.complete(), said
    assert instance.text("etc/hostname") == f"{short}\n"
    assert instance.text("etc/hosts").splitlines()[-1] == f"127.0.1.1\t{name.decode()} {short}"


@pytest.mark.parametrize(
    "name",
    [b"../../etc/x", b"-F", b"a b", b"$(touch /owned)", b".x", b"a\nb", b"x" * 64, b"caf\xe9", b"<html>", b""],
    ids=str,
)
def test_a_host_name_that_is_none_is_not_taken_and_reported(instance: Instance, name: bytes) -> None:
    instance.metadata["meta-data/local-hostname"] = name
    before = instance.text("etc/hostname"), instance.text("etc/hosts")
    said = instance.boot()
    assert "the metadata service has a host name that is not valid" in said
    assert instance.complete()
    assert (instance.text("etc/hostname"), instance.text("etc/hosts")) == before
    assert not (instance.root / "owned").exists()
