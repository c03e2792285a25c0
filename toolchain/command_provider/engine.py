"""The engine's log, as the plugin sees it."""

import contextlib

import grpc
from pulumi.runtime.proto import engine_pb2, engine_pb2_grpc

_LOG_SECONDS = 10.0


class EngineLog:
    """Lines for the person who runs Pulumi. A log that can't be written never fails a command."""

    def __init__(self, address: str | None) -> None:
        self._stub = address and engine_pb2_grpc.EngineStub(grpc.insecure_channel(address))

    def status(self, urn: str, line: str) -> None:
        """Show a line beside the resource while it is worked on; it is not kept."""
        self._log(line, urn, ephemeral=True)

    def note(self, line: str) -> None:
        """A line that stays in the diagnostics."""
        self._log(line, "", ephemeral=False)

    def _log(self, line: str, urn: str, *, ephemeral: bool) -> None:
        if not self._stub:
            return
        request = engine_pb2.LogRequest(severity=engine_pb2.INFO, message=line, urn=urn, ephemeral=ephemeral)
        with contextlib.suppress(grpc.RpcError):
            self._stub.Log(request, timeout=_LOG_SECONDS)
