"""The stand-in's own edges, asked over gRPC without an engine; test_command_conformance.py has the rest."""

import os
import select
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import grpc
import pytest
from google.protobuf import json_format
from google.protobuf.empty_pb2 import Empty
from google.protobuf.struct_pb2 import Struct
from pulumi.runtime.proto import provider_pb2, provider_pb2_grpc

from toolchain.command_provider import execution
from toolchain.sources import STAND_IN

URN = "urn:pulumi:s::p::command:local:Command::name"
SECRET_MARK = {"4dabf18193072939515e22adb298388d": "1b47061264138c4ac30d75fd1eb44270"}
LIMIT_SECONDS = 30


@contextmanager
def started() -> Iterator["subprocess.Popen[bytes]"]:
    """The stand-in, as its launcher starts it."""
    with subprocess.Popen([sys.executable, "-I", STAND_IN], stdout=subprocess.PIPE) as process:
        try:
            yield process
        finally:
            process.kill()


@contextmanager
def face(process: "subprocess.Popen[bytes]") -> Iterator[provider_pb2_grpc.ResourceProviderStub]:
    """What it answers at the port that it tells."""
    assert process.stdout
    assert select.select([process.stdout], [], [], LIMIT_SECONDS)[0], "the stand-in told no port"
    with grpc.insecure_channel(f"127.0.0.1:{int(process.stdout.readline())}") as channel:
        yield provider_pb2_grpc.ResourceProviderStub(channel)


@pytest.fixture(scope="module")
def provider() -> Iterator[provider_pb2_grpc.ResourceProviderStub]:
    """One for all that it outlives: a start takes longer than most of these tests."""
    with started() as process, face(process) as stub:
        yield stub


@pytest.fixture
def process() -> Iterator["subprocess.Popen[bytes]"]:
    """One that a test may end."""
    with started() as process:
        yield process


@pytest.fixture
def own_provider(process: "subprocess.Popen[bytes]") -> Iterator[provider_pb2_grpc.ResourceProviderStub]:
    """Its face."""
    with face(process) as stub:
        yield stub


def struct(values: dict[str, object]) -> Struct:
    return json_format.ParseDict(values, Struct())


def create(stub: provider_pb2_grpc.ResourceProviderStub, **inputs: object) -> dict[str, object]:
    """The properties that a create gives."""
    request = provider_pb2.CreateRequest(urn=URN, properties=struct(inputs))
    return json_format.MessageToDict(stub.Create(request, timeout=LIMIT_SECONDS).properties)


def failure(stub: provider_pb2_grpc.ResourceProviderStub, **inputs: object) -> str:
    """The error that a create gives."""
    with pytest.raises(grpc.RpcError) as caught:
        create(stub, **inputs)
    return str(caught.value.details())


@pytest.mark.parametrize(
    ("inputs", "reason"),
    [
        ({"create": 1}, "create must be a string"),
        ({"environment": {"A": 1}}, "environment must be a map of names to strings"),
        ({"assetPaths": ["*"]}, "assetPaths is not served by the stand-in for the command plugin"),
        ({"interpreter": ["sh", "-c"]}, "interpreter is not served by the stand-in for the command plugin"),
    ],
)
def test_wrong_inputs_are_named(
    provider: provider_pb2_grpc.ResourceProviderStub, inputs: dict[str, object], reason: str
) -> None:
    response = provider.Check(provider_pb2.CheckRequest(urn=URN, news=struct(inputs)), timeout=LIMIT_SECONDS)
    assert [found.reason for found in response.failures] == [reason]


def test_other_resources_are_refused(provider: provider_pb2_grpc.ResourceProviderStub) -> None:
    request = provider_pb2.CheckRequest(urn=URN.replace("local:Command", "remote:Command"))
    with pytest.raises(grpc.RpcError) as caught:
        provider.Check(request, timeout=LIMIT_SECONDS)
    assert "command:local:Command only" in str(caught.value.details())


def test_what_can_not_start_says_why(provider: provider_pb2_grpc.ResourceProviderStub) -> None:
    assert "Argument list too long" in failure(provider, create="true", environment={"A": "x" * 4_000_000})


def test_a_secret_command_is_not_in_its_error(provider: provider_pb2_grpc.ResourceProviderStub) -> None:
    text = failure(provider, create={**SECRET_MARK, "value": "false hunter2"})
    assert "exit status 1" in text
    assert "hunter2" not in text


def test_output_that_is_no_text_is_kept_as_far_as_it_is(provider: provider_pb2_grpc.ResourceProviderStub) -> None:
    assert create(provider, create="printf 'a\\377b'")["stdout"] == "a\ufffdb"


def test_a_command_that_leaves_its_input_unread_does_not_fail(
    provider: provider_pb2_grpc.ResourceProviderStub,
) -> None:
    assert create(provider, create="exec true", stdin="x" * 1_000_000)["stdout"] == ""


def test_a_secret_input_comes_back_as_a_secret(provider: provider_pb2_grpc.ResourceProviderStub) -> None:
    secret = {**SECRET_MARK, "value": "hunter2"}
    state = create(provider, create="echo $A $B", environment={"A": secret, "B": "open"})
    assert state["environment"] == {"A": secret, "B": "open"}
    assert state["stdout"] == "hunter2 open"


def test_cancel_kills_what_runs_and_lets_nothing_start(
    own_provider: provider_pb2_grpc.ResourceProviderStub, tmp_path: Path
) -> None:
    fifo = tmp_path / "started"
    os.mkfifo(fifo)
    request = provider_pb2.CreateRequest(urn=URN, properties=struct({"create": f"echo $$ > {fifo}; exec sleep 600"}))
    running = own_provider.Create.future(request, timeout=LIMIT_SECONDS)
    child = int(fifo.read_text())
    own_provider.Cancel(Empty(), timeout=LIMIT_SECONDS)
    error = running.exception(LIMIT_SECONDS)
    assert isinstance(error, grpc.RpcError)
    assert str(error.details()).startswith("signal: killed")
    assert not Path(f"/proc/{child}").exists()
    assert "context canceled" in failure(own_provider, create="true")


def test_the_engines_interrupt_ends_it_at_once(
    process: "subprocess.Popen[bytes]", own_provider: provider_pb2_grpc.ResourceProviderStub
) -> None:
    own_provider.GetPluginInfo(Empty(), timeout=LIMIT_SECONDS)
    start = time.monotonic()
    process.send_signal(signal.SIGINT)
    assert process.wait(LIMIT_SECONDS) == -signal.SIGINT
    assert time.monotonic() - start < 5


def test_who_holds_the_output_of_a_command_that_has_ended_is_not_waited_for_for_ever(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name in ("QUIET_SECONDS", "HELD_SECONDS"):
        monkeypatch.setattr(execution, name, 0.1)
    said: list[str] = []
    begin = time.monotonic()
    got = execution.run_command("echo made; sleep 5 &", {}, {}, execution.Running(), said.append, 0)
    assert got == ("made", "")
    assert time.monotonic() - begin < 4
    assert "waiting for processes that the command left behind and that hold its output" in said
