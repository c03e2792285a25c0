"""A cloud that is slow to tell the account is waited for with words and a limit."""

from __future__ import annotations

import re
from concurrent.futures import Future

import pytest

from omi.outscale.connecting import connect_to, connected
from omi.support.errors import CloudError, CredentialsError
from tests.omi.conftest import Account
from tests.omi.specs import make_spec

ACCESS = make_spec().cloud


def test_a_connection_that_is_there_or_failed_is_told_at_once(capsys: pytest.CaptureFixture[str]) -> None:
    failed: Future[object] = Future()
    failed.set_exception(CredentialsError("no key"))
    with pytest.raises(CredentialsError, match="no key"):
        connected(failed, ACCESS)  # type: ignore[arg-type]
    assert capsys.readouterr().err == ""


def test_a_plan_begins_with_the_account_that_the_setting_names(account: Account) -> None:
    allowed = account.access.model_copy(update={"account": account.other_id})
    with pytest.raises(CredentialsError, match=f"by the setting `account` .* belongs to account {account.other_id}"):
        connected(connect_to(allowed), allowed)
    same = account.access.model_copy(update={"account": account.id})
    assert connected(connect_to(same), same).account == account.id


def test_one_that_never_comes_is_told_and_left(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("omi.outscale.connecting.QUIET", 0.05)
    monkeypatch.setattr("omi.outscale.connecting._LIMIT", 0.05)
    with pytest.raises(
        CloudError, match=f"{re.escape(ACCESS.api)}: did not answer which account the key is of within 0 s; run again"
    ):
        connected(Future(), ACCESS)
    assert capsys.readouterr().err == f"waiting for {ACCESS.api}, at most 0 s\n"
