"""The gRPC face that the engine calls. The methods' names and messages are Pulumi's provider protocol."""

import contextlib
import os
import secrets
import signal
import sys
import threading
import time
from concurrent import futures
from typing import Any

import grpc
from google.protobuf import empty_pb2, json_format
from google.protobuf.struct_pb2 import Struct
from pulumi.runtime.proto import engine_pb2, engine_pb2_grpc, plugin_pb2, provider_pb2, provider_pb2_grpc

from .execution import CommandFailedError, Running, run_command
from .properties import UNKNOWN, Properties, changed, faults, inputs_of, is_secret, plain

VERSION = "1.2.1"
COMMAND = "command:local:Command"
ANNOUNCEMENT = f"command plugin {VERSION}: alpine-omi's stand-in serves, the genuine one could not be had at set-up"
# A running command holds a thread; how many run at once is the engine's to say (--parallel).
_THREADS = 1024
_LOG_SECONDS = 10.0
_ORPHAN_CHECK_SECONDS = 5.0
_NOT_YET = {"stdout": UNKNOWN, "stderr": UNKNOWN}


class CommandProvider(provider_pb2_grpc.ResourceProviderServicer):
    """`command:local:Command`; in each call it follows the genuine plugin (local/commandController.go in 1.2.1)."""

    def __init__(self, engine: str, running: Running) -> None:
        self._engine = engine_pb2_grpc.EngineStub(grpc.insecure_channel(engine)) if engine else None
        self._running = running

    def GetPluginInfo(self, request: empty_pb2.Empty, context: grpc.ServicerContext) -> plugin_pb2.PluginInfo:
        """The version that the SDK asks for."""
        return plugin_pb2.PluginInfo(version=VERSION)

    def Configure(
        self, request: provider_pb2.ConfigureRequest, context: grpc.ServicerContext
    ) -> provider_pb2.ConfigureResponse:
        """Called once per run, so the place to say who serves."""
        self._log(ANNOUNCEMENT, "", ephemeral=False)
        return provider_pb2.ConfigureResponse(acceptSecrets=True, supportsPreview=True)

    def Check(self, request: provider_pb2.CheckRequest, context: grpc.ServicerContext) -> provider_pb2.CheckResponse:
        """Types of the inputs."""
        if not request.urn.split("::")[-2].endswith(COMMAND):
            context.abort(grpc.StatusCode.UNIMPLEMENTED, f"{ANNOUNCEMENT}; it serves {COMMAND} only: {request.urn}")
        news = _read(request.news)
        failures = [provider_pb2.CheckFailure(property=name, reason=reason) for name, reason in faults(news)]
        return provider_pb2.CheckResponse(inputs=_struct(inputs_of(news)), failures=failures)

    def Diff(self, request: provider_pb2.DiffRequest, context: grpc.ServicerContext) -> provider_pb2.DiffResponse:
        """The inputs that differ; only `triggers` replaces."""
        old = inputs_of(_read(request.old_inputs if request.HasField("old_inputs") else request.olds))
        new = inputs_of(_read(request.news))  # with the old value where the engine is to ignore changes
        names = changed(old, new)
        response = provider_pb2.DiffResponse(
            changes=provider_pb2.DiffResponse.DIFF_SOME if names else provider_pb2.DiffResponse.DIFF_NONE,
            diffs=names,
            replaces=[name for name in names if name == "triggers"],
            hasDetailedDiff=True,
        )
        for name in names:
            kind = "ADD" if name not in old else "DELETE" if name not in new else "UPDATE"
            detail = response.detailedDiff[name]
            detail.kind = provider_pb2.PropertyDiff.Kind.Value(f"{kind}_REPLACE" if name == "triggers" else kind)
            detail.inputDiff = True
        return response

    def Create(self, request: provider_pb2.CreateRequest, context: grpc.ServicerContext) -> provider_pb2.CreateResponse:
        """Run `create`. A failure is a plain error, so nothing is recorded."""
        inputs = inputs_of(_read(request.properties))
        output = _NOT_YET if request.preview else self._run("create", inputs, {}, request, context)
        name = request.name or request.urn.rsplit("::", 1)[-1]
        return provider_pb2.CreateResponse(id=f"{name}{secrets.token_hex(4)}", properties=_struct(inputs | output))

    def Update(self, request: provider_pb2.UpdateRequest, context: grpc.ServicerContext) -> provider_pb2.UpdateResponse:
        """Run `update`, else `create` again; without either the last output is kept."""
        inputs = inputs_of(_read(request.news))
        which = "update" if "update" in inputs else "create"
        output = _NOT_YET if request.preview else self._run(which, inputs, _read(request.olds), request, context)
        return provider_pb2.UpdateResponse(properties=_struct(inputs | output))

    def Delete(self, request: provider_pb2.DeleteRequest, context: grpc.ServicerContext) -> empty_pb2.Empty:
        """Run the `delete` that the state holds."""
        state = _read(request.properties)
        self._run("delete", state, state, request, context)
        return empty_pb2.Empty()

    def Read(self, request: provider_pb2.ReadRequest, context: grpc.ServicerContext) -> provider_pb2.ReadResponse:
        """The state as it is: nothing outside is read."""
        return provider_pb2.ReadResponse(id=request.id, properties=request.properties, inputs=request.inputs)

    def Cancel(self, request: empty_pb2.Empty, context: grpc.ServicerContext) -> empty_pb2.Empty:
        """The person who runs Pulumi interrupted it."""
        self._running.cancel()
        return empty_pb2.Empty()

    def _run(
        self, which: str, inputs: Properties, previous: Properties, request: Any, context: grpc.ServicerContext
    ) -> Properties:
        """Both outputs of one of the commands, the previous ones if there is no such command."""
        settings, last = plain(inputs), plain(previous)
        command = settings.get(which)
        if command is None:
            return {name: last.get(name) or "" for name in ("stdout", "stderr")}
        urn = request.urn
        try:
            stdout, stderr = run_command(
                command,
                settings,
                last,
                self._running,
                lambda line: self._log(line, urn, ephemeral=True),
                request.timeout,
            )
        except CommandFailedError as error:
            shown = "[secret]" if is_secret(inputs[which]) else f'"{command}"'
            reason, newline, output = str(error).partition(":\n")
            context.abort(grpc.StatusCode.UNKNOWN, f"{reason}: running {shown}{newline}{output}")
        return {"stdout": stdout, "stderr": stderr}

    def _log(self, line: str, urn: str, *, ephemeral: bool) -> None:
        """A line for the person who runs Pulumi, beside the resource (`ephemeral`) or in the diagnostics."""
        if self._engine:
            log = engine_pb2.LogRequest(severity=engine_pb2.INFO, message=line, urn=urn, ephemeral=ephemeral)
            with contextlib.suppress(grpc.RpcError):  # a log that can't be written never fails a command
                self._engine.Log(log, timeout=_LOG_SECONDS)


def _read(struct: Struct) -> Properties:
    return json_format.MessageToDict(struct)


def _struct(properties: Properties) -> Struct:
    return json_format.ParseDict(properties, Struct())


def _end_with_parent(running: Running) -> None:
    """A plugin whose engine was killed has nobody to serve: it ends, and its commands with it, as the genuine one's."""
    parent = os.getppid()
    while os.getppid() == parent:
        time.sleep(_ORPHAN_CHECK_SECONDS)
    running.cancel()
    os._exit(1)


def main() -> None:
    """Serve on a loopback port, which goes to standard output, until the engine ends the process."""
    # The engine ends its plugins by SIGINT to their group; the default is to end at once, without a traceback.
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    running = Running()
    threading.Thread(target=_end_with_parent, args=(running,), daemon=True).start()
    server = grpc.server(
        futures.ThreadPoolExecutor(max_workers=_THREADS),
        options=[("grpc.max_receive_message_length", -1), ("grpc.max_send_message_length", -1)],
    )
    provider = CommandProvider("".join(sys.argv[1:2]), running)
    provider_pb2_grpc.add_ResourceProviderServicer_to_server(provider, server)
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    print(port, flush=True)
    server.wait_for_termination()
