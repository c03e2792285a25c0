"""What Packer meets at its gateway to OAPI: the account's answers, paced and tried again, by a key of its own."""

from __future__ import annotations

import json
import socket
import stat
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from omi.build.packer.gateway import Gateway, open_gateway
from omi.outscale.client import Cloud
from sandbox.config import Addresses
from tests.omi.conftest import Account
from tests.sandbox import client
from tests.sandbox.client import Refused, source_image


@pytest.fixture
def said() -> list[str]:
    return []


@pytest.fixture
def gateway(account: Account, tmp_path: Path, said: list[str], request: pytest.FixtureRequest) -> Iterator[Gateway]:
    """One that waits for long but where a test's fault is that no answer comes."""
    impatient = "lost" in request.node.name or "hang" in request.node.name
    limits = account.access.limits.model_copy(update={"answer": 3 if impatient else 60})
    oapi = Cloud(account.access.model_copy(update={"limits": limits}), account.cloud.credentials)
    with open_gateway(oapi, tmp_path, said.append) as opened:
        yield opened
    assert list(tmp_path.iterdir()) == []


def packer(gateway: Gateway, **keys: str) -> client.Oapi:
    """As the plugin asks: signed by the key that it was given, trusting the certificate that it was given."""
    own = {"access_key": gateway.credentials.access_key, "secret_key": gateway.credentials.secret_key}
    port = int(gateway.api.removesuffix("/api/v1").rpartition(":")[2])
    return client.Oapi({**own, "region": "eu-west-2", **keys}, Addresses(port), gateway.certificate)


def test_it_answers_as_the_account_does_by_a_key_of_its_own(account: Account, gateway: Gateway) -> None:
    assert gateway.credentials.secret_key != account.cloud.credentials.secret_key
    assert packer(gateway).call("ReadAccounts")["Accounts"][0]["AccountId"] == account.id
    made = packer(gateway).call("CreateVms", ImageId=source_image(account.sandbox.oapi()))
    assert packer(gateway).call("ReadVms")["Vms"][0]["VmId"] == made["Vms"][0]["VmId"]
    assert gateway.refusals == []
    with pytest.raises(Refused) as refused:
        packer(gateway).call("StopVms", VmIds=["i-00000000"])
    assert (refused.value.status, refused.value.body["Errors"][0]["Type"]) == (400, "InvalidResource")
    (kept,) = gateway.refusals
    assert (kept.action, kept.status, kept.code) == ("StopVms", 400, "5063")


def test_nobody_on_the_way_holds_a_small_packet_back(
    account: Account, gateway: Gateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What waits for the other side to confirm what was sent before waits 40 ms, at each of a build's many calls."""
    at_once: list[str] = []
    setsockopt = socket.socket.setsockopt

    def spy(sock: socket.socket, *option: int) -> None:
        if option[:2] == (socket.IPPROTO_TCP, socket.TCP_NODELAY):
            at_once.append(threading.current_thread().name)
        setsockopt(sock, *option)

    monkeypatch.setattr(socket.socket, "setsockopt", spy)
    packer(gateway).call("ReadAccounts")
    assert len(at_once) == 4, "of Packer, of the gateway to both sides, and of the account"


def test_no_other_key_and_no_other_path_reaches_the_account(
    account: Account, gateway: Gateway, said: list[str]
) -> None:
    before = len(account.sandbox.control("GET", "calls"))
    own = account.cloud.credentials
    wrong = (
        {"access_key": own.access_key, "secret_key": own.secret_key},
        {"access_key": "A" * 20},
        {"secret_key": "s" * 40},  # whoever saw the key's id in a log has no more than that
    )
    for keys in wrong:
        asking = packer(gateway, **keys)
        headers = client.osc4_headers(asking.profile, asking.host, "/api/v1/ReadVms", b"{}")
        assert asking.send("/api/v1/ReadVms", b"{}", headers)[0] == 401
    assert said == ["the gateway for Packer refused a call that this build's key didn't sign"], "once is enough"
    asking = packer(gateway)
    for path, body in (("/api/v1/../ReadVms", b"{}"), ("/", b"{}"), ("/api/v1/ReadVms", b"no JSON")):
        assert asking.send(path, body, client.osc4_headers(asking.profile, asking.host, path, body))[0] == 400
    assert len(account.sandbox.control("GET", "calls")) == before


def test_only_what_a_build_needs_is_passed_on_and_the_rest_is_told(
    account: Account, gateway: Gateway, said: list[str]
) -> None:
    before = len(account.sandbox.control("GET", "calls"))
    for action in ("ReadAccessKeys", "CreateKeypair", "DeleteVolume", "UpdateImage", "ReadVmsAndMore"):
        with pytest.raises(Refused) as refused:
            packer(gateway).call(action)
        assert (refused.value.status, refused.value.code) == (403, "4")
        assert said.pop() == f"the gateway for Packer refused {action}, which no build by it needs"
        assert str(gateway.refusals.pop()) == f"{action}: AccessDenied: no build needs this call"
    assert len(account.sandbox.control("GET", "calls")) == before


def test_no_link_is_written_through(account: Account, tmp_path: Path) -> None:
    kept = tmp_path / "kept"
    kept.write_text("another's")
    for name in ("alpine-omi-gateway.pem", "alpine-omi-gateway.key"):
        (tmp_path / name).symlink_to(kept)
    with open_gateway(account.cloud, tmp_path, print) as opened:
        assert not opened.certificate.is_symlink()
    assert kept.read_text() == "another's"
    assert list(tmp_path.iterdir()) == [kept]


def test_its_certificate_is_for_this_machine_alone_and_no_private_key_lies_about(gateway: Gateway) -> None:
    assert gateway.api.startswith("https://127.0.0.1:")
    assert [path.name for path in gateway.certificate.parent.iterdir()] == [gateway.certificate.name]
    assert b"PRIVATE" not in gateway.certificate.read_bytes()
    assert stat.S_ISREG(gateway.certificate.stat().st_mode)


def test_a_page_that_is_not_the_apis_is_told_as_a_busy_cloud(
    account: Account, gateway: Gateway, said: list[str]
) -> None:
    account.sandbox.control(
        "POST", "faults", {"action": "StopVms", "body": "<html>under maintenance</html>", "times": 4}
    )
    asking = packer(gateway)
    body = b'{"VmIds": ["i-00000000"]}'
    headers = client.osc4_headers(asking.profile, asking.host, "/api/v1/StopVms", body)
    assert asking.send("/api/v1/StopVms", body, headers)[0] == 503
    assert "its answer is not a JSON object; is there a proxy or a page of maintenance?" in said[0]


@pytest.mark.parametrize(
    ("action", "fault"),
    [
        ("ReadVms", {"status": 429}),
        ("ReadVms", {"body": "<html>under maintenance</html>"}),
        ("ReadVms", {"status": 503}),
        ("ReadVms", {"cut": True}),
        pytest.param("ReadVms", {"hang": True}, marks=pytest.mark.slow),
        ("CreateVms", {"status": 429}),
    ],
    ids=lambda value: value if isinstance(value, str) else next(iter(value)),
)
def test_what_may_be_tried_again_is(account: Account, gateway: Gateway, action: str, fault: dict[str, object]) -> None:
    account.sandbox.control("POST", "faults", {"action": action, **fault})
    source = {"ImageId": source_image(account.sandbox.oapi())} if action == "CreateVms" else {}
    packer(gateway).call(action, **source)


@pytest.mark.slow
def test_a_change_whose_answer_is_lost_is_told_as_a_busy_cloud_and_not_made_twice(
    account: Account, gateway: Gateway, said: list[str]
) -> None:
    account.sandbox.control("POST", "faults", {"action": "CreateVms", "after": True, "hang": True})
    asking = packer(gateway)
    body = json.dumps({"ImageId": source_image(account.sandbox.oapi())}).encode()
    headers = client.osc4_headers(asking.profile, asking.host, "/api/v1/CreateVms", body)
    assert asking.send("/api/v1/CreateVms", body, headers)[0] == 503
    assert "no answer to CreateVms within 3 s (cloud.limits.answer)" in said[0]
    calls = [call for call in account.sandbox.control("GET", "calls") if call["action"] == "CreateVms"]
    assert len(calls) <= 1  # it is logged when it ends
