"""A wrong key is tried once, by however many commands at once; one that is put right is tried at once."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from omi.outscale.client import Cloud
from omi.outscale.credentials import Credentials
from omi.state.image import CloudAccess
from omi.support.errors import CredentialsError, OmiError
from tests.sandbox.client import Sandbox


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("ALPINE_OMI_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


def ask(access: CloudAccess, sandbox: Sandbox, secret: str | None = None) -> str:
    """What a command of its own comes to: the account, or the error."""
    known = sandbox.profiles["main"]
    try:
        return Cloud(access, Credentials(known["access_key"], secret or known["secret_key"], "a test")).account
    except CredentialsError as error:
        return str(error)


def tries(sandbox: Sandbox) -> list[int]:
    return [call["status"] for call in sandbox.control("GET", "calls")]


def test_of_commands_side_by_side_one_tries_a_wrong_key(sandbox: Sandbox, access: CloudAccess, cache: Path) -> None:
    with ThreadPoolExecutor(8) as pool:
        told = list(pool.map(lambda _: ask(access, sandbox, "wrong-secret"), range(8)))
    assert tries(sandbox) == [401]
    assert sum("a moment ago" in text for text in told) == 7
    assert all("refused the access key" in text for text in told)
    assert ask(access, sandbox) == sandbox.account_id()
    assert not any(b"wrong-secret" in path.read_bytes() for path in cache.rglob("*") if path.is_file())


def test_it_is_tried_again_after_a_minute(
    sandbox: Sandbox, access: CloudAccess, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = time.time()
    ask(access, sandbox, "wrong")
    for later, known in ((59, 1), (61, 2)):
        monkeypatch.setattr(time, "time", lambda later=later: now + later)
        ask(access, sandbox, "wrong")
        assert len(tries(sandbox)) == known


def test_only_a_refused_key_is_remembered(sandbox: Sandbox, access: CloudAccess) -> None:
    sandbox.control("PUT", "faults", [{"action": "ReadAccounts", "status": 400, "times": 1}])
    with pytest.raises(OmiError):
        ask(access, sandbox)
    none = {"Statement": [{"Effect": "Deny", "Action": ["*"], "Resource": ["*"]}]}
    sandbox.control("PUT", "policies", {"main": none})
    assert "may not call api:ReadAccounts" in ask(access, sandbox)
    sandbox.control("PUT", "policies", {})
    assert ask(access, sandbox) == sandbox.account_id()


def test_without_a_cache_each_tries_for_itself(sandbox: Sandbox, access: CloudAccess, cache: Path) -> None:
    cache.write_text("no folder")
    assert ask(access, sandbox) == sandbox.account_id()
    ask(access, sandbox, "wrong")
    ask(access, sandbox, "wrong")
    assert tries(sandbox).count(401) == 2
