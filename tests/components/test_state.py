"""Reading the stack's own state while the engine writes it."""

from __future__ import annotations

from typing import Any

import pulumi
import pytest
from pulumi.runtime.invoke import InvokeResult

import components.state
from components import stack_resources
from omi.support.errors import StateError

TORN = "invoke failed: failed to load checkpoint: EOF"
RESOURCES = {"urn:pulumi:a::b::c::d": {"type": "command:local:Command", "outputs": {}}}


class Engine:
    """Answers each read by the next of its answers; the last one stays."""

    def __init__(self, *answers: str | dict[str, Any]) -> None:
        self.answers, self.asked = answers, 0

    def invoke(self, token: str, arguments: dict[str, Any]) -> InvokeResult:
        assert (token, arguments) == (
            "pulumi:pulumi:readStackResourceOutputs",
            {"stackName": "organization/project/stack"},
        )
        answer = self.answers[min(self.asked, len(self.answers) - 1)]
        self.asked += 1
        if isinstance(answer, str):
            raise Exception(answer)  # noqa: TRY002, TRY004 (what the SDK raises)
        return InvokeResult(answer)


@pytest.fixture(autouse=True)
def _at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(components.state, "_PAUSE", 0.0)
    for name, value in (("organization", "organization"), ("project", "project"), ("stack", "stack")):
        monkeypatch.setattr(pulumi, f"get_{name}", lambda value=value: value)


def serve(monkeypatch: pytest.MonkeyPatch, *answers: str | dict[str, Any]) -> Engine:
    engine = Engine(*answers)
    monkeypatch.setattr(pulumi.runtime, "invoke", engine.invoke)
    return engine


def test_a_checkpoint_that_is_just_being_written_is_read_again(monkeypatch: pytest.MonkeyPatch) -> None:
    engine = serve(monkeypatch, TORN, TORN, {"outputs": RESOURCES})
    assert stack_resources() == RESOURCES
    assert engine.asked == 3


def test_a_fresh_stack_has_no_resources(monkeypatch: pytest.MonkeyPatch) -> None:
    serve(monkeypatch, {"outputs": {}})
    assert stack_resources() == {}


def test_one_that_stays_unreadable_ends_in_one_line_and_never_in_an_empty_ledger(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    serve(monkeypatch, TORN)
    with pytest.raises(StateError, match=r"organization/project/stack cannot be read: .*EOF; nothing was changed"):
        stack_resources()


def test_any_other_refusal_is_not_asked_again(monkeypatch: pytest.MonkeyPatch) -> None:
    engine = serve(monkeypatch, "invoke failed: passphrase must be set")
    with pytest.raises(StateError, match="passphrase must be set"):
        stack_resources()
    assert engine.asked == 1
