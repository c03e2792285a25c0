"""The state on disk: all of a transaction or nothing of it, and what a broken or full disk says."""

from __future__ import annotations

import sqlite3
import sys
import threading
from pathlib import Path

import pytest

from sandbox.cloud.model import Keypair, now
from sandbox.cloud.store import ResourceStore, StoreError
from tests.sandbox.client import Oapi, Refused, Sandbox


def keypair(name: str) -> Keypair:
    return Keypair(
        id=f"key-{name}",
        account_id="1",
        region="eu-west-2",
        created=now(),
        name=name,
        type="ssh-rsa",
        public_key="x",
        fingerprint="y",
    )


def test_a_transaction_is_kept_whole_or_not_at_all(tmp_path: Path) -> None:
    store = ResourceStore(tmp_path / "state")
    with store.transaction():
        kept = store.put(keypair("kept"))
        store.put(keypair("gone"))

    def cut_short() -> None:
        with store.transaction():
            store.put(kept.model_copy(update={"name": "changed"}))
            store.put(keypair("new"))
            store.delete(keypair("gone"))
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        cut_short()
    with store.transaction():
        store.delete(keypair("gone"))
    assert store.all(Keypair) == [kept]
    store.close()
    again = ResourceStore(tmp_path / "state")
    assert again.all(Keypair) == [kept]
    again.close()


def test_a_change_outside_of_a_transaction_is_refused(tmp_path: Path) -> None:
    store = ResourceStore(tmp_path / "state")
    with pytest.raises(RuntimeError):
        store.put(keypair("lost"))
    store.close()


def test_a_file_that_is_no_state_is_named_with_the_cure(tmp_path: Path) -> None:
    path = tmp_path / "state"
    path.write_bytes(b"no database" * 100)
    with pytest.raises(StoreError, match=r"reset --yes"):
        ResourceStore(path)
    for kind, body in (("image", '{"id": "ami-1"}'), ("gone", "{}")):
        other = tmp_path / kind
        ResourceStore(other).close()
        with sqlite3.connect(other) as database:
            database.execute("INSERT INTO resource VALUES (?, 'ami-1', ?)", (kind, body))
        with pytest.raises(StoreError, match=rf"^the state .* \({kind} ami-1 is of another version of the sandbox\)"):
            ResourceStore(other)
    newer = tmp_path / "newer"
    with sqlite3.connect(newer) as database:
        database.execute("PRAGMA user_version=99")
    with pytest.raises(StoreError, match="version 99"):
        ResourceStore(newer)


def test_a_full_disk_refuses_the_call_and_changes_nothing(sandbox: Sandbox, oapi: Oapi) -> None:
    database = sandbox.server.cloud.store._db
    (pages,) = database.execute("PRAGMA page_count").fetchone()
    database.execute(f"PRAGMA max_page_count={pages}")
    key = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJ8x0Vb6o5LQh3uPGn1Yv0qZ8vNw3m1Zr3kO8bq5m2Xh me"
    answers = []
    for number in range(40):
        try:
            oapi.call("CreateKeypair", KeypairName=f"k{number}", PublicKey=key)
        except Refused as refused:
            answers.append((number, refused.status, "disk full" in str(refused.body)))
    assert answers
    assert {each[1:] for each in answers} == {(500, True)}
    listed = {each["KeypairName"] for each in oapi.call("ReadKeypairs")["Keypairs"]}
    assert listed == {f"k{number}" for number in range(40)} - {f"k{number}" for number, *_ in answers}


def test_it_may_be_listed_while_another_thread_adds(tmp_path: Path) -> None:
    store, seen = ResourceStore(tmp_path / "state"), []
    usual = sys.getswitchinterval()

    def add() -> None:
        with store.transaction():
            for number in range(3000):
                store.put(keypair(str(number)))

    adding = threading.Thread(target=add)
    sys.setswitchinterval(1e-6)
    try:
        adding.start()
        while adding.is_alive():
            seen.append(len(store.all(Keypair)))
    finally:
        sys.setswitchinterval(usual)
        adding.join()
    assert seen == sorted(seen)
    assert len(store.all(Keypair)) == 3000
    store.close()
