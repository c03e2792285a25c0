"""What is published follows from the state, and is signed by real ssh-keygen; a key that can't sign changes nothing."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from datetime import UTC, date, datetime
from pathlib import Path
from unittest.mock import Mock

import pytest

from omi.config.settings import Settings
from omi.profile.content import ALPINE_CDN
from omi.profile.model import Target
from omi.publish import export_ledger, forget
from omi.publish.feed import Feed
from omi.publish.model import MissingFixes
from omi.state.ledger import Ledger, LedgerImage, StoredCommand
from omi.support.errors import ProfileError, ToolError
from omi.upstream.security import Security
from tests.omi.publish.signing import LIMIT, STACK, Publisher, allows, make_key, public, publisher

__all__ = ["publisher"]


@pytest.fixture
def agent(publisher: Publisher, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """An agent without keys."""
    place = publisher.top / "agent"
    process = subprocess.Popen(["ssh-agent", "-D", "-a", str(place)], stdout=subprocess.PIPE, text=True)
    assert process.stdout
    process.stdout.readline()  # printed once it listens
    monkeypatch.setenv("SSH_AUTH_SOCK", str(place))
    yield
    process.send_signal(signal.SIGTERM)
    process.wait(LIMIT)
    process.stdout.close()


def load(key: Path, passphrase: str) -> None:
    """Give a key to the agent."""
    ask = key.with_name("ask")
    ask.write_text(f"#!/bin/sh\necho '{passphrase}'\n", encoding="utf-8")
    ask.chmod(0o700)
    asking = {**os.environ, "SSH_ASKPASS": str(ask), "SSH_ASKPASS_REQUIRE": "force"}
    subprocess.run(["ssh-add", "-q", key], env=asking, check=True, timeout=LIMIT, stdin=subprocess.DEVNULL)


def lines_of(manifest: str) -> dict[str, str]:
    return {line[66:]: line[:64] for line in manifest.splitlines()[3:]}


def test_every_published_file_is_in_the_manifest_in_a_stable_order(publisher: Publisher) -> None:
    code, text = publisher.publish()
    assert code == 0, text
    assert text.splitlines()[-1] == "releases: 2 images written and signed"
    files = publisher.files()
    head, listed = files["manifest.txt"].decode().splitlines()[:3], lines_of(files["manifest.txt"].decode())
    assert head[:2] == ["# alpine-omi manifest 1", f"# stack: {STACK}"]
    assert abs(int(head[2].split()[2]) - time.time()) < LIMIT
    assert set(listed) == set(files) - {"manifest.txt", "manifest.txt.sig"}
    assert listed == {name: hashlib.sha256(files[name]).hexdigest() for name in listed}
    assert list(listed) == sorted(listed)
    assert "alpine/eu-west-2/alpine-3.23.6-x86_64-r0.cdx.json" in listed
    assert files["allowed_signers"].decode() == allows(publisher.key)
    assert "allowed_signers: is new; give it to all who check" in text


def test_signing_again_changes_the_signature_alone(publisher: Publisher) -> None:
    publisher.publish()
    before = publisher.files()
    code, text = publisher.publish()
    assert (code, text) == (0, "releases: 2 images written and signed\n")
    changed = {name for name, content in publisher.files().items() if content != before[name]}
    assert changed <= {"manifest.txt", "manifest.txt.sig"}
    assert lines_of(publisher.files()["manifest.txt"].decode()) == lines_of(before["manifest.txt"].decode())


def test_what_somebody_changed_in_the_files_is_not_signed(publisher: Publisher) -> None:
    publisher.publish()
    before = publisher.files()
    omi = publisher.images[1][1].omi
    for name in ("alpine.yaml", "alpine.json", "alpine.atom.xml"):
        (publisher.releases / name).write_bytes(before[name].replace(b"x86_64 r0", b"free beer"))
    assert publisher.publish()[0] == 0
    assert {name: publisher.files()[name] for name in before if "manifest" not in name} == {
        name: content for name, content in before.items() if "manifest" not in name
    }
    (publisher.releases / "alpine.yaml").write_bytes(before["alpine.yaml"].replace(omi.encode(), b"ami-0badbad0"))
    tampered = publisher.files()
    code, text = publisher.publish()
    assert (code, text.count("\n")) == (8, 1)
    assert "ami-0badbad0 in eu-west-2), which the stack's state lacks, so nothing is signed" in text
    assert publisher.files() == tampered
    code, text = publisher.publish("--key", publisher.key, "--forget", "alpine-3.23.6-x86_64-r0")
    assert code == 0, text
    assert publisher.files()["alpine.json"] == before["alpine.json"]


def test_the_fixes_that_an_image_lacks_stay_as_the_last_update_wrote_them(publisher: Publisher) -> None:
    lacks = MissingFixes(day=date(2026, 11, 27), count=0, fixes=())
    (spec, record), _ = publisher.images
    state = Ledger.of([LedgerImage("one", spec, record, StoredCommand.of("build", spec))])
    export_ledger(Settings(profile="alpine", region="eu-west-2"), state, {"one": lacks})
    assert publisher.publish()[0] == 0
    found = {image.name: image.missing_fixes for image in Feed.read(publisher.releases / "alpine.json").images}
    assert found == {spec.name: lacks, publisher.images[1][0].name: None}


def test_publish_reads_the_fixes_anew_and_signs_their_documents(publisher: Publisher) -> None:
    """An image that was just built gets its first list, and one whose data moved a new one."""
    spec, record = publisher.images[1]
    build = Target(
        profile="alpine",
        name=spec.build,
        version="3.23",
        rebuild_on="security",
        repos={f"{ALPINE_CDN}/v3.23/main": True},
    )
    document = f"alpine/eu-west-2/{spec.name}.fixes.json"
    for fixed, count in (("3.5.4-r0", 0), ("3.5.9-r0", 2)):
        security = Security({"v3.23/main": {"openssl": {fixed: ("CVE-2026-1", "CVE-2026-2")}}})
        known = Mock(return_value=([build], security, {}))
        publisher.monkeypatch.setattr("omi.cli.publish.survey_fixes", known)
        code, text = publisher.publish()
        assert code == 0, text
        files = publisher.files()
        assert json.loads(files[document])["count"] == count
        assert lines_of(files["manifest.txt"].decode())[document] == hashlib.sha256(files[document]).hexdigest()
        assert "not signed" not in text
    (publisher.releases / document).write_text("{}", encoding="utf-8")
    assert publisher.publish()[0] == 0
    assert publisher.files()[document] == files[document], "what somebody wrote into it is not signed"
    publisher.hold(publisher.images[:1], pruned=[record.omi])
    assert publisher.publish()[0] == 0
    assert document not in publisher.files()


def test_a_profile_that_cannot_be_read_leaves_the_fixes_as_they_were(publisher: Publisher) -> None:
    def refuse(*_: object) -> None:
        raise ProfileError("profiles/alpine.yaml: is missing")

    publisher.monkeypatch.setattr("omi.cli.publish.survey_fixes", refuse)
    code, text = publisher.publish()
    assert (code, "the fixes that images lack stay as they were: profiles/alpine.yaml: is missing\n" in text) == (
        0,
        True,
    )


def test_a_prune_whose_files_were_never_committed_doesnt_stop_the_next_signing(publisher: Publisher) -> None:
    old, full = publisher.images
    publisher.publish()
    publisher.hold([old], pruned=[full[1].omi])
    code, text = publisher.publish()
    assert code == 0, text
    assert [image.name for image in Feed.read(publisher.releases / "alpine.json").images] == [old[0].name]
    assert not (publisher.releases / "alpine").exists(), "its documents"
    publisher.trust()
    publisher.hold([], pruned=[full[1].omi])
    assert publisher.publish()[0] == 8, "nothing says where the other one went"


def test_a_destroyed_stack_leaves_no_signature_of_what_is_gone(publisher: Publisher) -> None:
    publisher.publish()
    first, last = (pair[0].model_copy(update={"releases_dir": "releases"}) for pair in publisher.images)
    forget(first, publisher.images[0][1])
    assert "manifest.txt" in publisher.files(), "what is signed of the other one still counts"
    (line,) = forget(last, publisher.images[1][1])
    assert line.startswith("releases: names no image any more, so manifest.txt and manifest.txt.sig are removed")
    left = {"README.md", "allowed_signers", "alpine.atom.xml", "alpine.json", "alpine.yaml"}
    assert set(publisher.files()) == {*left, "feed.schema.json", "fixes.schema.json"}
    assert Feed.read(publisher.releases / "alpine.json").images == ()
    publisher.hold([])
    assert publisher.publish()[0] == 0
    assert set(lines_of(publisher.files()["manifest.txt"].decode())) == set(publisher.files()) - {
        "manifest.txt",
        "manifest.txt.sig",
    }


def test_a_signature_that_cannot_be_removed_is_one_line(publisher: Publisher, monkeypatch: pytest.MonkeyPatch) -> None:
    publisher.publish()
    unlink = Path.unlink

    def refuse(path: Path, missing_ok: bool = False) -> None:
        if path.name == "manifest.txt":
            raise PermissionError(1, "Operation not permitted")
        unlink(path, missing_ok)

    monkeypatch.setattr(Path, "unlink", refuse)
    first, last = (pair[0].model_copy(update={"releases_dir": "releases"}) for pair in publisher.images)
    forget(first, publisher.images[0][1])
    with pytest.raises(ToolError, match=r"^releases: cannot remove the signature: Operation not permitted; make it"):
        forget(last, publisher.images[1][1])


def test_images_are_forgotten_all_or_none(publisher: Publisher) -> None:
    old, full = publisher.images
    publisher.publish()
    before = publisher.files()
    publisher.hold([])
    code, text = publisher.publish("--key", publisher.key, "--forget", full[0].name)
    assert (code, old[0].name in text) == (8, True), text
    code, text = publisher.publish("--key", publisher.key, "--forget", "none")
    assert code == 2
    assert text.endswith(f"can be forgotten: {old[0].name}, {full[0].name}\n")
    assert publisher.files() == before
    code, text = publisher.publish("--key", publisher.key, "--forget", full[0].name, "--forget", old[0].name)
    assert code == 0, text
    assert not (publisher.releases / "alpine").exists()
    assert Feed.read(publisher.releases / "alpine.json").images == ()


def test_an_image_of_another_region_or_profile_is_not_signed_either(publisher: Publisher) -> None:
    publisher.publish()
    text = (publisher.releases / "alpine.yaml").read_text(encoding="utf-8")
    (publisher.releases / "web.yaml").write_text(text.replace("profile: alpine", "profile: web"), encoding="utf-8")
    code, said = publisher.publish()
    assert code == 8
    assert "give each stack a releases_dir of its own" in said
    (publisher.releases / "web.yaml").unlink()
    (publisher.releases / "alpine.yaml").write_text(text.replace("eu-west-2: ami", "us-east-2: ami"), encoding="utf-8")
    assert publisher.publish()[0] == 8


def test_a_changed_document_is_not_signed_and_a_missing_one_is_named(publisher: Publisher) -> None:
    publisher.publish()
    document = publisher.releases / "alpine" / "eu-west-2" / "alpine-3.23.6-x86_64-r0.packages.txt"
    document.write_text("no package\n", encoding="utf-8")
    before = publisher.files()
    code, text = publisher.publish()
    assert (code, text.count("\n")) == (8, 1)
    assert f"{document.relative_to(publisher.top)}: isn't what the stack's state says" in text
    assert publisher.files() == before
    document.unlink()
    code, text = publisher.publish()
    assert code == 0
    assert "documents of alpine-3.23.6-x86_64-r0 are missing" in text
    assert "packages.txt" not in publisher.files()["manifest.txt"].decode()


def test_files_of_others_are_named_and_not_signed(publisher: Publisher) -> None:
    publisher.releases.mkdir(exist_ok=True)
    (publisher.releases / "logo.svg").write_text("<svg/>", encoding="utf-8")
    code, text = publisher.publish()
    assert code == 0
    assert "releases: logo.svg are not signed, since the stack's state names no such file" in text
    assert "logo.svg" not in publisher.files()["manifest.txt"].decode()


def test_without_a_key_the_files_are_written_and_a_signed_folder_is_left_alone(publisher: Publisher) -> None:
    code, text = publisher.publish(text=" ")
    assert (code, text.count("\n")) == (0, 1)
    assert text.startswith("releases: 2 images written, not signed: for that give a key by --key FILE or in ")
    assert "manifest.txt" not in publisher.files()
    publisher.publish()
    before = publisher.files()
    publisher.hold(publisher.images[:1])
    code, text = publisher.publish(text="\n")
    assert code == 2
    assert text.startswith("error: releases: is signed, as allowed_signers in it says: give the key by --key FILE")
    assert publisher.files() == before


@pytest.mark.parametrize("kind", ["rsa", "ecdsa"])
def test_other_kinds_of_keys_sign_too(publisher: Publisher, kind: str) -> None:
    code, text = publisher.publish(key=make_key(publisher.top / kind, kind))
    assert code == 0, text
    assert public(publisher.top / kind) in publisher.files()["allowed_signers"].decode()


def test_a_key_in_an_agent_signs_by_its_public_half_or_its_own_file(publisher: Publisher, agent: None) -> None:
    key = make_key(publisher.top / "locked", passphrase="open sesame")
    for given in (key, key.with_name("locked.pub")):
        code, text = publisher.publish(key=given)
        assert (code, text.count("\n")) == (2, 1)
        assert "no agent holds" in text
    assert not (publisher.releases / "allowed_signers").exists()
    load(key, "open sesame")
    for given in (key, key.with_name("locked.pub")):
        code, text = publisher.publish(key=given)
        assert code == 0, text
    assert publisher.files()["allowed_signers"].decode() == allows(key)


WATCH = """#!/bin/sh
# Notes how ssh-keygen was called and which files hold the key then, and is it.
{ echo "$@"; env; grep -rlF "$(sed -n 2p "$TOP/key")" "$TOP"; } >>"$TOP/calls"
exec "$REAL" "$@"
"""


def test_a_key_in_the_environment_reaches_no_file_argument_or_other_process(publisher: Publisher) -> None:
    real, folder = str(shutil.which("ssh-keygen")), publisher.top / "bin"
    folder.mkdir()
    watch = WATCH.replace("$TOP", str(publisher.top)).replace("$REAL", real)
    (folder / "ssh-keygen").write_text(watch, encoding="utf-8")
    (folder / "ssh-keygen").chmod(0o755)
    publisher.monkeypatch.setenv("PATH", f"{folder}:{os.environ['PATH']}")
    publisher.monkeypatch.setenv("TMPDIR", str(publisher.top))
    publisher.monkeypatch.setenv("HOME", str(publisher.top))
    text = publisher.key.read_text(encoding="utf-8")
    for given in (text, text.strip(), text.replace("\n", "\r\n")):
        code, said = publisher.publish(text=given)
        assert code == 0, said
        assert text.splitlines()[2] not in said
    calls = (publisher.top / "calls").read_text(encoding="utf-8")
    assert "-Y sign -f /proc/self/fd/" in calls
    assert "SIGNING_KEY" not in calls
    assert not [line for line in text.splitlines() if line in calls]
    named = {line for line in calls.splitlines() if line.startswith(f"{publisher.top}/")}
    assert named == {str(publisher.key)}


def bad_keys(publisher: Publisher) -> Iterator[tuple[tuple[str | Path, ...], str, str]]:
    """Arguments, the text in the environment, and what the error says."""
    top = publisher.top
    yield ("--key", top / "none"), "", "none: cannot be read: No such file or directory; give the file of a private key"
    yield ("--key", top), "", ": is not a file; "
    (top / "junk").write_text("a line\n", encoding="utf-8")
    yield ("--key", top / "junk"), "", "junk: is not an SSH key that signs; give an SSH key, as `ssh-keygen -t ed25519`"
    shutil.copy(publisher.key, top / "open")
    (top / "open").chmod(0o644)
    yield ("--key", top / "open"), "", "open: others may read it, so ssh-keygen refuses it; run `chmod 600 "
    locked = make_key(top / "locked", passphrase="open sesame")
    yield ("--key", locked), "", "locked: has a passphrase, and no agent holds it; load it by `ssh-add "
    yield (), locked.read_text(encoding="utf-8"), "ALPINE_OMI_SIGNING_KEY: has a passphrase, which nobody can type"
    yield (), str(publisher.key), "ALPINE_OMI_SIGNING_KEY: is not a private SSH key; give the text of one"
    yield (), public(publisher.key), "ALPINE_OMI_SIGNING_KEY: is not a private SSH key"
    cut = "\n".join(publisher.key.read_text(encoding="utf-8").splitlines()[:3])
    yield (), cut, "ALPINE_OMI_SIGNING_KEY: ssh-keygen can't sign with it ("
    shutil.copy(f"{publisher.key}.pub", top / "lone.pub")
    yield ("--key", top / "lone.pub"), "", "lone.pub: is a public key, and no agent holds its private one; load that"
    subprocess.run(
        ["openssl", "genpkey", "-algorithm", "ed25519", "-out", top / "tls.pem"],
        check=True, timeout=LIMIT, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    yield ("--key", top / "tls.pem"), "", "tls.pem: ssh-keygen can't sign with it ("
    dsa = subprocess.run(["ssh-keygen", "-q", "-t", "dsa", "-N", "", "-f", top / "dsa"], timeout=LIMIT, check=False)
    if dsa.returncode == 0:  # OpenSSH 10 makes none
        yield ("--key", top / "dsa"), "", "dsa: is of the type ssh-dss, which isn't safe; give an SSH key"
    other = make_key(top / "other")
    yield ("--key", other), "", f"is not allowed by releases/allowed_signers now (no line is for this key and {STACK})"


@pytest.mark.parametrize("signed", [True, False])
def test_a_key_that_cannot_sign_is_one_line_with_the_cure_and_changes_nothing(
    publisher: Publisher, signed: bool
) -> None:
    if signed:
        publisher.publish()
    before = publisher.files()
    publisher.hold(publisher.images[:1])  # there would be something to write
    for arguments, text, said in bad_keys(publisher):
        if not signed and "is not allowed by" in said:
            continue
        code, printed = publisher.publish(*arguments, text=text)
        assert (code, printed.count("\n"), said in printed) == (2, 1, True), printed
        assert publisher.files() == before


def test_no_ssh_keygen_is_one_line_with_the_cure(publisher: Publisher) -> None:
    before = publisher.files()
    publisher.monkeypatch.setenv("PATH", str(publisher.top))
    code, text = publisher.publish()
    assert code == 10
    assert text.startswith("error: ssh-keygen: cannot be started (No such file or directory); install the OpenSSH")
    assert publisher.files() == before


def test_a_clock_that_went_back_signs_nothing(publisher: Publisher, monkeypatch: pytest.MonkeyPatch) -> None:
    publisher.publish()
    before = publisher.files()
    monkeypatch.setattr("omi.support.clock.now", lambda: datetime.fromtimestamp(1_700_000_000, UTC))
    code, text = publisher.publish()
    assert code == 2
    assert "which is later than this machine's clock; set the clock" in text
    assert publisher.files() == before


def test_keys_are_changed_with_an_overlap_in_which_both_sign(publisher: Publisher) -> None:
    publisher.publish()
    signers, new = publisher.releases / "allowed_signers", make_key(publisher.top / "new")
    assert publisher.publish(key=new)[0] == 2
    overlap = allows(publisher.key, options=',valid-before="20990101"') + allows(new, options=',valid-after="20200101"')
    signers.write_text(overlap, encoding="utf-8")
    for key in (publisher.key, new, publisher.key):
        code, text = publisher.publish(key=key)
        assert code == 0, text
        assert signers.read_text(encoding="utf-8") == overlap
    signers.write_text(allows(publisher.key, options=',valid-before="20260101"') + allows(new), encoding="utf-8")
    code, text = publisher.publish()
    assert (code, text.count("\n")) == (2, 1)
    assert "key has expired" in text
    assert publisher.publish(key=new)[0] == 0


def test_a_stack_without_images_is_signed_as_such(publisher: Publisher) -> None:
    publisher.hold([])
    shutil.rmtree(publisher.releases)
    assert publisher.publish()[0] == 0
    assert Feed.read(publisher.releases / "alpine.json").images == ()


def test_documents_stay_of_an_image_whose_record_no_longer_names_them(publisher: Publisher) -> None:
    """As a recovered image's may not: only an image that is forgotten takes its documents along."""
    publisher.publish()
    before = publisher.files()
    publisher.hold((spec, record.model_copy(update={"documents": None})) for spec, record in publisher.images)
    code, text = publisher.publish()
    assert code == 0, text
    after = publisher.files()
    documents = [name for name in before if name.startswith("alpine/")]
    assert documents
    assert {name: after.get(name) for name in documents} == {name: before[name] for name in documents}
    assert "alpine/eu-west-2/alpine-3.23.6-x86_64-r0.cdx.json" in text
    assert "are not signed" in text
