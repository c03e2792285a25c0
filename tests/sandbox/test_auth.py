"""Signatures: who signed what, in both forms, and what is refused."""

from __future__ import annotations

import datetime as dt
import json
import time
from collections.abc import Callable
from typing import Any

import pytest
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from sandbox.auth import AccessKey, HttpRequest, Verifier
from sandbox.cloud.errors import Fail, RefusedError
from tests.sandbox.client import Oapi, Refused, Sandbox, osc4_headers

HOST = "127.0.0.1:7440"
PATH = "/api/v1/ReadVms"
KEY = AccessKey("AK", "SK", "main", "eu-west-2")
PROFILE = {"access_key": "AK", "secret_key": "SK", "region": "eu-west-2"}
NOW = dt.datetime(2026, 11, 23, 12, 0, 0, tzinfo=dt.UTC)


class Clock:
    """Seconds since the epoch that a test moves."""

    def __init__(self) -> None:
        self.now = NOW.timestamp()

    def __call__(self) -> float:
        return self.now


def verifier(clock: Callable[[], float]) -> Verifier:
    return Verifier({"AK": KEY}, lockout=60.0, clock=clock)


def osc4(when: dt.datetime = NOW, **profile: Any) -> HttpRequest:
    body = b"{}"
    headers = osc4_headers({**PROFILE, **profile}, HOST, PATH, body, when)
    return HttpRequest("POST", PATH, {name.lower(): value for name, value in headers.items()}, body)


def failure(check: Verifier, request: HttpRequest) -> Fail:
    with pytest.raises(RefusedError) as refused:
        check.verify(request)
    return refused.value.fail


def test_osc4_as_documented_is_accepted() -> None:
    assert verifier(Clock()).verify(osc4()) == KEY


def test_a_signature_of_the_host_without_its_port_is_accepted() -> None:
    body = b"{}"
    signed = osc4_headers(PROFILE, "127.0.0.1", PATH, body, NOW) | {"Host": HOST}
    headers = {name.lower(): value for name, value in signed.items()}
    assert verifier(Clock()).verify(HttpRequest("POST", PATH, headers, body)) == KEY
    other = {**headers, "host": "localhost:7440"}
    assert failure(verifier(Clock()), HttpRequest("POST", PATH, other, body)) is Fail.AUTHENTICATION


def test_what_was_changed_after_signing_is_refused() -> None:
    clock = Clock()
    good = osc4()
    changed = [
        HttpRequest("GET", PATH, good.headers, good.body),
        HttpRequest("POST", PATH + "State", good.headers, good.body),
        HttpRequest("POST", PATH + "?a=b", good.headers, good.body),
        HttpRequest("POST", PATH, good.headers, b'{"DryRun": true}'),
        HttpRequest("POST", PATH, {**good.headers, "host": "other"}, good.body),
        HttpRequest("POST", PATH, {**good.headers, "content-type": "text/plain"}, good.body),
    ]
    for request in changed:
        assert failure(verifier(clock), request) is Fail.AUTHENTICATION


@pytest.mark.parametrize("profile", [{"secret_key": "no"}, {"access_key": "NO"}, {"region": "us-east-2"}])
def test_a_wrong_secret_key_or_region_is_refused(profile: dict[str, Any]) -> None:
    assert failure(verifier(Clock()), osc4(**profile)) is Fail.AUTHENTICATION


def test_no_signature_or_another_scheme_is_refused() -> None:
    for headers in ({}, {"authorization": "Basic c2FuZGJveDo="}, {"authorization": "AWS4-HMAC-SHA256 nonsense"}):
        assert failure(verifier(Clock()), HttpRequest("POST", PATH, headers, b"")) is Fail.AUTHENTICATION


def test_a_date_may_be_off_by_a_quarter_of_an_hour() -> None:
    clock = Clock()
    check = verifier(clock)
    for minutes in (-14, 14):
        assert check.verify(osc4(when=NOW + dt.timedelta(minutes=minutes))) == KEY
    for minutes in (-16, 16):
        assert failure(check, osc4(when=NOW + dt.timedelta(minutes=minutes))) is Fail.AUTHENTICATION


def test_four_wrong_in_a_row_lock_the_key_for_a_minute() -> None:
    clock = Clock()
    check = verifier(clock)
    wrong = osc4(secret_key="no")
    for _ in range(3):
        assert failure(check, wrong) is Fail.AUTHENTICATION
    assert check.verify(osc4()) == KEY, "a good one begins the count anew"
    for _ in range(4):
        assert failure(check, wrong) is Fail.AUTHENTICATION
    assert failure(check, osc4()) is Fail.LOCKED
    clock.now += 61
    later = NOW + dt.timedelta(seconds=61)
    assert check.verify(osc4(when=later)) == KEY


def aws4(url: str, body: bytes, service: str, region: str = "eu-west-2", **headers: str) -> HttpRequest:
    """A request signed by botocore."""
    request = AWSRequest("POST", url, headers={"Host": HOST, "Content-Type": "application/json", **headers}, data=body)
    SigV4Auth(Credentials("AK", "SK"), service, region).add_auth(request)
    target = url.removeprefix(f"https://{HOST}")
    return HttpRequest("POST", target, {name.lower(): value for name, value in request.headers.items()}, body)


def test_aws4_by_botocore_is_accepted_for_any_service_and_query() -> None:
    check = verifier(time.time)
    for service in ("api", "oapi"):
        assert check.verify(aws4(f"https://{HOST}{PATH}", b"{}", service)) == KEY
    assert check.verify(aws4(f"https://{HOST}{PATH}?b=2&a=x%20y&a=1", b"", "api")) == KEY


def test_aws4_with_a_wrong_content_hash_is_refused() -> None:
    request = aws4(f"https://{HOST}{PATH}", b"{}", "api", **{"X-Amz-Content-SHA256": "0" * 64})
    assert failure(verifier(time.time), request) is Fail.AUTHENTICATION


def test_the_go_sdk_may_name_its_fixed_region() -> None:
    elsewhere = Verifier({"AK": AccessKey("AK", "SK", "main-us", "us-east-2")}, lockout=60.0)
    assert elsewhere.verify(aws4(f"https://{HOST}{PATH}", b"{}", "oapi")).profile == "main-us"
    assert failure(elsewhere, aws4(f"https://{HOST}{PATH}", b"{}", "api")) is Fail.AUTHENTICATION


def test_over_the_wire_a_wrong_secret_is_401_code_1_and_the_fifth_try_is_locked(sandbox: Sandbox) -> None:
    main = sandbox.oapi()
    wrong = Oapi({**main.profile, "secret_key": "no"}, sandbox.settings.addresses, sandbox.settings.ca_file)
    answers = []
    for _ in range(5):
        with pytest.raises(Refused) as refused:
            wrong.call("ReadVms")
        answers.append((refused.value.status, refused.value.code))
    assert answers == [(401, "1")] * 4 + [(401, "13")]
    with pytest.raises(Refused):
        main.call("ReadVms")
    assert sandbox.oapi("second").call("ReadVms") == {"Vms": []}


def test_accounts_and_regions_are_apart(sandbox: Sandbox) -> None:
    ids = {name: sandbox.account_id(name) for name in sandbox.profiles}
    assert len(set(ids.values())) == 4
    for profile, region in (("main", "eu-west-2"), ("main-us", "us-east-2")):
        names = {each["RegionName"] for each in sandbox.oapi(profile).call("ReadSubregions")["Subregions"]}
        assert names == {region}


def test_the_profile_file_is_private_and_holds_what_clients_need(sandbox: Sandbox) -> None:
    path = sandbox.settings.profiles_file
    assert path.stat().st_mode & 0o777 == 0o600
    profiles: dict[str, Any] = json.loads(path.read_text())
    base = sandbox.settings.addresses.base_port
    here = f"https://127.0.0.1:{base}"
    for each in profiles.values():
        assert each["endpoints"] == {"api": f"{here}/api/v1", "oos": f"https://127.0.0.1:{base + 3}"}
