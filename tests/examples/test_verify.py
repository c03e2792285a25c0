"""The check that consumers run notices whatever is not as it was signed. It is a shell script with ssh-keygen alone."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
from collections.abc import Callable
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

import pytest

from tests.omi.publish.signing import LIMIT, STACK, Publisher, allows, make_key, publisher

__all__ = ["publisher"]

VERIFY = Path(__file__).resolve().parents[2] / "examples" / "verify" / "verify.sh"
TOOLS = ("awk", "cat", "cp", "date", "find", "head", "mktemp", "mv", "sed", "tr")
"""What it needs besides ssh-keygen and sha256sum; all are POSIX but mktemp."""


@pytest.fixture
def signed(publisher: Publisher) -> Publisher:
    """Published once, and trusted by a consumer."""
    code, text = publisher.publish()
    assert code == 0, text
    publisher.trust()
    return publisher


def verify(publisher: Publisher, *files: str, **changed: str) -> tuple[int, str]:
    """Run the script as a consumer does; exit code and all that it printed."""
    done = subprocess.run(
        [VERIFY, publisher.signers, publisher.releases, *files], env={**os.environ, **changed}, text=True,
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=LIMIT, check=False,
    )  # fmt: skip
    return done.returncode, done.stdout


def sign(publisher: Publisher, key: Path, namespace: str = "alpine-omi") -> None:
    """Sign the manifest as it is by ssh-keygen itself."""
    manifest = publisher.releases / "manifest.txt"
    (publisher.releases / "manifest.txt.sig").unlink(missing_ok=True)
    command = ["ssh-keygen", "-q", "-Y", "sign", "-n", namespace, "-f", str(key), str(manifest)]
    subprocess.run(command, check=True, timeout=LIMIT, stderr=subprocess.DEVNULL)


def test_what_was_published_is_accepted_whole_and_by_file(signed: Publisher) -> None:
    assert verify(signed) == (0, f"verify: {signed.releases} is what {STACK} signed 0 days ago\n")
    assert verify(signed, "alpine.json", "README.md")[0] == 0
    for name in signed.files():
        if "alpine.json" not in name and "manifest" not in name:
            (signed.releases / name).unlink()
    assert verify(signed, "alpine.json")[0] == 0


def test_every_changed_or_removed_file_is_noticed(signed: Publisher) -> None:
    files = signed.files()
    assert len(files) == 13
    for name, content in files.items():
        path = signed.releases / name
        one = [] if "manifest" in name else [name]
        # What comes after a signature's last line is none of it.
        longer = [] if name == "manifest.txt.sig" else [content + b"\n"]
        for worse in (*longer, bytes([content[0] ^ 1]) + content[1:], b""):
            path.write_bytes(worse)
            assert verify(signed)[0] == verify(signed, *one)[0] == 1, name
        assert one == [] or f"{path}: is not what was signed" in verify(signed)[1]
        path.unlink()
        code, text = verify(signed)
        assert (code, "is missing" in text) == (1, True), text
        path.write_bytes(content)
    assert verify(signed)[0] == 0


def test_every_added_file_is_noticed(signed: Publisher) -> None:
    for name in ("evil.json", ".hidden", "alpine/eu-west-2/more.txt", "new folder/a b.txt"):
        path = signed.releases / name
        path.parent.mkdir(exist_ok=True)
        path.write_text("more\n", encoding="utf-8")
        code, text = verify(signed)
        assert (code, f"{path}: is not in the manifest" in text) == (1, True), text
        assert verify(signed, name)[0] == 1
        path.unlink()
    (signed.releases / "link").symlink_to("alpine.json")
    assert verify(signed)[0] == 1


def another_key(signed: Publisher) -> None:
    sign(signed, make_key(signed.top / "other"))


def another_namespace(signed: Publisher) -> None:
    sign(signed, signed.key, "git")


def an_expired_key(signed: Publisher) -> None:
    signed.trust(allows(signed.key, options=',valid-before="20260101"'))


def a_key_of_later(signed: Publisher) -> None:
    signed.trust(allows(signed.key, options=',valid-after="20990101"'))


def a_key_of_another_stack(signed: Publisher) -> None:
    signed.trust(allows(signed.key, stack="other"))


def a_line_for_another_purpose(signed: Publisher) -> None:
    signed.trust(allows(signed.key).replace("alpine-omi", "git"))


def a_changed_manifest_of_another_key(signed: Publisher) -> None:
    feed, manifest = signed.releases / "alpine.json", signed.releases / "manifest.txt"
    before = hashlib.sha256(feed.read_bytes()).hexdigest()
    feed.write_bytes(feed.read_bytes().replace(b"ami-", b"ami-0"))
    after = hashlib.sha256(feed.read_bytes()).hexdigest()
    manifest.write_text(manifest.read_text(encoding="utf-8").replace(before, after), encoding="utf-8")
    another_key(signed)
    (signed.releases / "allowed_signers").write_text(allows(signed.top / "other"), encoding="utf-8")


def no_signature_at_all(signed: Publisher) -> None:
    for name in ("manifest.txt", "manifest.txt.sig", "allowed_signers"):
        (signed.releases / name).unlink()


@pytest.mark.parametrize(
    "tamper",
    [
        another_key, another_namespace, an_expired_key, a_key_of_later, a_key_of_another_stack,
        a_line_for_another_purpose, a_changed_manifest_of_another_key, no_signature_at_all,
    ],
)  # fmt: skip
def test_a_signature_that_does_not_count_is_noticed(signed: Publisher, tamper: Callable[[Publisher], None]) -> None:
    tamper(signed)
    for files in ((), ("alpine.json",)):
        code, text = verify(signed, *files)
        assert (code, text.count("\n"), "don't use it" in text) == (1, 1, True), text
    assert not (signed.signers.parent / "allowed_signers.seen").exists()


def test_older_files_that_are_put_back_are_noticed(signed: Publisher, monkeypatch: pytest.MonkeyPatch) -> None:
    assert verify(signed)[0] == 0
    old = signed.top / "old"
    shutil.copytree(signed.releases, old)
    monkeypatch.setattr("omi.support.clock.now", lambda: datetime.fromtimestamp(4_000_000_000, UTC))
    assert signed.publish()[0] == 0
    assert verify(signed, "alpine.json")[0] == 0
    shutil.rmtree(signed.releases)
    old.rename(signed.releases)
    for files in ((), ("alpine.json",)):
        code, text = verify(signed, *files)
        assert (code, f"is older than what {STACK} had signed before" in text) == (1, True), text
    signed.trust()  # who never saw the newer ones can't know
    assert verify(signed)[0] == 0


def test_files_that_are_too_old_are_noticed_by_who_saw_no_newer_ones(
    signed: Publisher, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.rmtree(signed.releases / "alpine")
    (signed.releases / "manifest.txt").unlink()
    monkeypatch.setattr("omi.support.clock.now", lambda: datetime.fromtimestamp(1_700_000_000, UTC))
    assert signed.publish()[0] == 0
    assert verify(signed)[0] == 0
    code, text = verify(signed, MAX_DAYS="14")
    assert (code, "MAX_DAYS is 14; don't use it" in text) == (1, True), text
    assert verify(signed, MAX_DAYS="100000")[0] == 0
    assert verify(signed, MAX_DAYS="soon")[0] == 2


def test_both_keys_are_accepted_while_they_overlap(signed: Publisher) -> None:
    new = make_key(signed.top / "new")
    overlap = allows(signed.key, options=',valid-before="20990101"') + allows(new, options=',valid-after="20200101"')
    (signed.releases / "allowed_signers").write_text(overlap, encoding="utf-8")
    signed.trust()
    for key in (signed.key, new):
        assert signed.publish(key=key)[0] == 0
        assert verify(signed)[0] == 0
    signed.trust(allows(new))
    assert verify(signed)[0] == 0
    assert signed.publish(key=signed.key)[0] == 0
    assert verify(signed)[0] == 1


def test_stacks_are_remembered_apart(signed: Publisher) -> None:
    seen = signed.signers.parent / "allowed_signers.seen"
    seen.write_text("other 5000000000\ntes. 5000000000\ntest 1\n", encoding="utf-8")
    assert verify(signed)[0] == 0
    lines = seen.read_text(encoding="utf-8").splitlines()
    assert lines[:2] == ["other 5000000000", "tes. 5000000000"]
    assert len(lines) == 3
    assert int(lines[2].removeprefix("test ")) > 1_700_000_000


@pytest.mark.parametrize("more", [allows, partial(allows, stack="other"), partial(allows, stack="o*")])
def test_no_other_stack_of_the_same_file_stands_in_for_the_one_that_is_wanted(
    signed: Publisher, more: Callable[..., str]
) -> None:
    signed.trust(allows(signed.key) + more(signed.key))
    code, text = verify(signed)
    if more is allows:
        assert code == 0, text
    else:
        assert (code, "set STACK to the one whose files these are" in text) == (2, True), text
    assert verify(signed, STACK=STACK)[0] == 0
    code, text = verify(signed, STACK="other")
    assert (code, f"is {STACK}'s, but STACK is other; don't use it" in text) == (1, True), text


def test_what_cannot_be_checked_is_one_line_with_the_cure(signed: Publisher) -> None:
    trusted = signed.signers
    for signers, folder, said in (
        (signed.top / "none", signed.releases, "can't be read; give the allowed_signers that you trust"),
        (trusted, signed.top / "none", "is not a folder"),
        (signed.releases / "allowed_signers", signed.releases, "comes with the files, so it proves nothing"),
    ):
        command = [VERIFY, signers, folder]
        done = subprocess.run(command, capture_output=True, text=True, timeout=LIMIT, check=False)
        assert (done.returncode, done.stdout, done.stderr.count("\n"), said in done.stderr) == (2, "", 1, True)
    (trusted.parent / "allowed_signers.seen").mkdir()
    code, text = verify(signed)
    assert (code, "allowed_signers.seen: can't be read" in text) == (2, True), text
    assert subprocess.run([VERIFY], capture_output=True, timeout=LIMIT, check=False).returncode == 2


def test_it_needs_ssh_keygen_and_says_so_and_no_tool_that_is_missing_makes_it_pass(signed: Publisher) -> None:
    folder = signed.top / "few"
    folder.mkdir()
    for tool in (*TOOLS, "rm", "sha256sum", "tail"):
        (folder / tool).symlink_to(str(shutil.which(tool)))
    code, text = verify(signed, PATH=str(folder))
    assert (code, text) == (2, "verify: ssh-keygen is not on PATH: install OpenSSH's client and coreutils\n")
    (folder / "ssh-keygen").symlink_to(str(shutil.which("ssh-keygen")))
    assert verify(signed, PATH=str(folder))[0] == 0
    for added in (True, False):
        (signed.releases / "more").touch() if added else (signed.releases / "more").unlink()
        for tool in TOOLS:
            (folder / tool).rename(folder / "away")
            assert verify(signed, PATH=str(folder))[0] != 0, tool
            (folder / "away").rename(folder / tool)
