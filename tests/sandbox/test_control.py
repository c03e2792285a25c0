"""Who may use the control face: programs on this machine, never a web page that a browser on it shows."""

from __future__ import annotations

import http.client
import json
from typing import Any

import pytest

from tests.sandbox.client import JSON_BODY, LIMIT, Sandbox

FAULT = json.dumps({"action": "CreateVms", "status": 503})


def ask(sandbox: Sandbox, method: str, path: str, body: str | None, headers: dict[str, str]) -> tuple[int, Any]:
    connection = http.client.HTTPConnection("127.0.0.1", sandbox.settings.addresses.plain_port, timeout=LIMIT)
    try:
        connection.request(method, f"/_sandbox/{path}", body, headers)
        answer = connection.getresponse()
        return answer.status, json.loads(answer.read())
    finally:
        connection.close()


@pytest.mark.parametrize("name", ["127.0.0.1", "localhost", "LocalHost", "[::1]"])
def test_this_machines_own_names_are_answered(sandbox: Sandbox, name: str) -> None:
    host = f"{name}:{sandbox.settings.addresses.plain_port}"
    status, faults = ask(sandbox, "POST", "faults", FAULT, {**JSON_BODY, "Host": host})
    assert (status, len(faults)) == (200, 1)


@pytest.mark.parametrize(
    "host", ["evil.example:PORT", "127.0.0.1", "localhost", "127.0.0.1:1", "127.0.0.1.evil.example:PORT", "", "[::1"]
)
def test_another_name_is_refused_whatever_is_asked(sandbox: Sandbox, host: str) -> None:
    """A page of evil.example whose name was made to lead here (DNS rebinding) has its own name as the host."""
    host = host.replace("PORT", str(sandbox.settings.addresses.plain_port))
    for method, path in (("GET", "status"), ("POST", "faults"), ("PUT", "policies"), ("DELETE", "faults")):
        body = FAULT if method in ("POST", "PUT") else None
        status, said = ask(sandbox, method, path, body, {**JSON_BODY, "Host": host})
        assert status == 403
        assert f"ask 127.0.0.1:{sandbox.settings.addresses.plain_port} or" in said["error"]
    assert sandbox.control("GET", "faults") == []


@pytest.mark.parametrize(
    "kind", [None, "", "text/plain", "text/plain; application/json", "application/x-www-form-urlencoded", "json"]
)
@pytest.mark.parametrize("method", ["POST", "PUT"])
def test_a_body_that_is_not_said_to_be_json_is_refused(sandbox: Sandbox, method: str, kind: str | None) -> None:
    """These a page may send to any host without the browser asking first."""
    status, said = ask(sandbox, method, "faults", FAULT, {} if kind is None else {"Content-Type": kind})
    assert status == 415
    assert "application/json" in said["error"]
    assert sandbox.control("GET", "faults") == []


def test_what_json_is_said_to_be_may_have_a_charset(sandbox: Sandbox) -> None:
    headers = {"Content-Type": "Application/JSON; charset=utf-8"}
    assert ask(sandbox, "POST", "faults", FAULT, headers)[0] == 200


def test_a_browser_that_asks_first_is_not_let_through(sandbox: Sandbox) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", sandbox.settings.addresses.plain_port, timeout=LIMIT)
    headers = {"Origin": "http://evil.example", "Access-Control-Request-Method": "PUT"}
    connection.request("OPTIONS", "/_sandbox/faults", headers=headers)
    answer = connection.getresponse()
    assert answer.status >= 400
    assert answer.getheader("Access-Control-Allow-Origin") is None
    connection.close()
