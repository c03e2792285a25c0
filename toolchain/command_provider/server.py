"""The gRPC face that the engine talks to. The methods' names and messages are Pulumi's provider protocol."""

import os
import secrets
import signal
import sys
import threading
import time
from concurrent import futures
from typing import Any

import grpc
from google.protobuf import empty_pb2
from google.protobuf.struct_pb2 import Struct
from pulumi.runtime.proto import plugin_pb2, provider_pb2, provider_pb2_grpc

from .engine import EngineLog
from .execution import CommandFailedError, Output, Running, run_command
from .properties import UNKNOWN, Settings, changed, faults, inputs_of, keep_ignored, with_output

VERSION = "1.2.1"
COMMAND = "command:local:Command"
RUN = "command:local:run"
ANNOUNCEMENT = f"command plugin {VERSION}: alpine-omi's stand-in serves, the genuine one could not be had at set-up"
# A running command holds a thread; how many run at once is the engine's to say (--parallel).
_THREADS = 1024
_ORPHAN_CHECK_SECONDS = 5.0
_DiffKind = provider_pb2.PropertyDiff.Kind


class CommandProvider(provider_pb2_grpc.ResourceProviderServicer):
    """`command:local:Command`; in each call it follows the genuine plugin (local/commandController.go in 1.2.1)."""

    def __init__(self, log: EngineLog, running: Running) -> None:
        self._log = log
        self._running = running

    def GetPluginInfo(self, request: empty_pb2.Empty, context: grpc.ServicerContext) -> plugin_pb2.PluginInfo:
        """The version that the SDK asks for."""
        return plugin_pb2.PluginInfo(version=VERSION)

    def CheckConfig(
        self, request: provider_pb2.CheckRequest, context: grpc.ServicerContext
    ) -> provider_pb2.CheckResponse:
        """The provider has no settings."""
        return provider_pb2.CheckResponse(inputs=request.news)

    def DiffConfig(self, request: provider_pb2.DiffRequest, context: grpc.ServicerContext) -> provider_pb2.DiffResponse:
        """The provider has no settings that could differ."""
        return provider_pb2.DiffResponse(changes=provider_pb2.DiffResponse.DIFF_NONE)

    def Configure(
        self, request: provider_pb2.ConfigureRequest, context: grpc.ServicerContext
    ) -> provider_pb2.ConfigureResponse:
        """Called once per run, so the place to say who serves."""
        self._log.note(ANNOUNCEMENT)
        return provider_pb2.ConfigureResponse(acceptSecrets=True, supportsPreview=True)

    def Check(self, request: provider_pb2.CheckRequest, context: grpc.ServicerContext) -> provider_pb2.CheckResponse:
        """Types of the inputs."""
        if not request.urn.split("::")[-2].endswith(COMMAND):
            context.abort(grpc.StatusCode.UNIMPLEMENTED, f"{ANNOUNCEMENT}; it serves {COMMAND} only: {request.urn}")
        failures = [
            provider_pb2.CheckFailure(property=fault.property, reason=fault.reason) for fault in faults(request.news)
        ]
        return provider_pb2.CheckResponse(inputs=inputs_of(request.news), failures=failures)

    def Diff(self, request: provider_pb2.DiffRequest, context: grpc.ServicerContext) -> provider_pb2.DiffResponse:
        """What differs; only `triggers` replaces."""
        old = inputs_of(request.old_inputs if request.HasField("old_inputs") else request.olds)
        new = keep_ignored(inputs_of(request.news), request.olds, request.ignoreChanges)
        names = changed(old, new)
        response = provider_pb2.DiffResponse(
            changes=provider_pb2.DiffResponse.DIFF_SOME if names else provider_pb2.DiffResponse.DIFF_NONE,
            diffs=names,
            replaces=[name for name in names if name == "triggers"],
            hasDetailedDiff=True,
        )
        for name in names:
            response.detailedDiff[name].kind = _kind(name, old, new)
            response.detailedDiff[name].inputDiff = True
        return response

    def Create(self, request: provider_pb2.CreateRequest, context: grpc.ServicerContext) -> provider_pb2.CreateResponse:
        """Run `create`. A failure is a plain error, so nothing is recorded."""
        inputs = inputs_of(request.properties)
        name = request.name or request.urn.rsplit("::", 1)[-1]
        resource_id = f"{name}{secrets.token_hex(4)}"
        if request.preview:
            return provider_pb2.CreateResponse(id=resource_id, properties=with_output(inputs, UNKNOWN, UNKNOWN))
        settings = Settings.read(inputs)
        output = self._run("create", settings, request.urn, request.timeout, context)
        return provider_pb2.CreateResponse(id=resource_id, properties=with_output(inputs, output.stdout, output.stderr))

    def Update(self, request: provider_pb2.UpdateRequest, context: grpc.ServicerContext) -> provider_pb2.UpdateResponse:
        """Run `update`, else `create` again; without either the last output is kept."""
        inputs = keep_ignored(inputs_of(request.news), request.olds, request.ignoreChanges)
        settings = Settings.read(inputs, previous=request.olds)
        if request.preview:
            return provider_pb2.UpdateResponse(properties=with_output(inputs, UNKNOWN, UNKNOWN))
        which = "create" if settings.update is None else "update"
        output = self._run(which, settings, request.urn, request.timeout, context)
        return provider_pb2.UpdateResponse(properties=with_output(inputs, output.stdout, output.stderr))

    def Delete(self, request: provider_pb2.DeleteRequest, context: grpc.ServicerContext) -> empty_pb2.Empty:
        """Run the `delete` that the state holds."""
        self._run("delete", Settings.read(request.properties), request.urn, request.timeout, context)
        return empty_pb2.Empty()

    def Read(self, request: provider_pb2.ReadRequest, context: grpc.ServicerContext) -> provider_pb2.ReadResponse:
        """What is stored is what is: nothing outside is looked at."""
        return provider_pb2.ReadResponse(id=request.id, properties=request.properties, inputs=request.inputs)

    def Invoke(self, request: provider_pb2.InvokeRequest, context: grpc.ServicerContext) -> provider_pb2.InvokeResponse:
        """Run a command that is no resource, in previews too."""
        if request.tok != RUN:
            context.abort(grpc.StatusCode.UNIMPLEMENTED, f"{ANNOUNCEMENT}; it serves {COMMAND} and {RUN} only")
        inputs = inputs_of(request.args)
        inputs.fields["create"].CopyFrom(request.args.fields["command"])
        output = self._run("create", Settings.read(inputs), "", 0, context)
        # `return` is the field's name, which Python has as a keyword.
        answer: dict[str, Any] = {"return": with_output(request.args, output.stdout, output.stderr)}
        return provider_pb2.InvokeResponse(**answer)

    def Cancel(self, request: empty_pb2.Empty, context: grpc.ServicerContext) -> empty_pb2.Empty:
        """The person who runs Pulumi interrupted it."""
        self._running.cancel()
        return empty_pb2.Empty()

    def _run(self, which: str, settings: Settings, urn: str, timeout: float, context: grpc.ServicerContext) -> Output:
        command = {"create": settings.create, "update": settings.update, "delete": settings.delete}[which]
        if command is None:
            return Output(stdout=settings.stdout, stderr=settings.stderr)
        try:
            return run_command(
                command,
                settings,
                self._running,
                lambda line: self._log.status(urn, line),
                timeout,
                secret=which in settings.secret_commands,
            )
        except CommandFailedError as error:
            context.abort(grpc.StatusCode.UNKNOWN, str(error))


def _kind(name: str, old: Struct, new: Struct) -> _DiffKind.ValueType:
    replaces = name == "triggers"
    if name not in old.fields:
        return _DiffKind.ADD_REPLACE if replaces else _DiffKind.ADD
    if name not in new.fields:
        return _DiffKind.DELETE_REPLACE if replaces else _DiffKind.DELETE
    return _DiffKind.UPDATE_REPLACE if replaces else _DiffKind.UPDATE


def _end_with_parent(running: Running) -> None:
    """A plugin whose engine was killed has nobody to serve: it ends, and its commands with it, as the genuine one's."""
    parent = os.getppid()
    while os.getppid() == parent:
        time.sleep(_ORPHAN_CHECK_SECONDS)
    running.cancel()
    os._exit(1)


def main() -> None:
    """Serve on a loopback port that is told on standard output, until the engine ends the process."""
    # The engine ends its plugins by SIGINT to their group; the default is to end at once, without a traceback.
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    running = Running()
    threading.Thread(target=_end_with_parent, args=(running,), daemon=True).start()
    server = grpc.server(
        futures.ThreadPoolExecutor(max_workers=_THREADS),
        options=[("grpc.max_receive_message_length", -1), ("grpc.max_send_message_length", -1)],
    )
    provider = CommandProvider(EngineLog(next(iter(sys.argv[1:]), None)), running)
    provider_pb2_grpc.add_ResourceProviderServicer_to_server(provider, server)
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    print(port, flush=True)
    server.wait_for_termination()
