"""QEMU's control protocol (QMP) over a connected socket: one command at a time, events kept until asked for."""

from __future__ import annotations

import json
import socket
import threading
import time
from collections import deque
from typing import Any

from sandbox.machines.protocol import MachineError

REPLY_LIMIT_S = 30.0
EVENTS_KEPT = 200


class QmpError(MachineError):
    """QEMU refused a command, or is gone."""


class Qmp:
    """One connection; safe to use from several threads."""

    def __init__(self, connection: socket.socket) -> None:
        self._socket = connection
        self._buffer = b""
        self._events: deque[dict[str, Any]] = deque(maxlen=EVENTS_KEPT)
        self._lock = threading.Lock()

    def open(self, limit_s: float) -> None:
        """Wait for QEMU's greeting, which comes when every device is made, and end the negotiation."""
        with self._lock:
            deadline = time.monotonic() + limit_s
            while "QMP" not in self._receive(deadline):
                pass
        self.execute("qmp_capabilities")

    def execute(self, command: str, **arguments: object) -> Any:
        """What the command returns. Raises QmpError with QEMU's words."""
        with self._lock:
            request = {"execute": command, "arguments": arguments}
            deadline = time.monotonic() + REPLY_LIMIT_S
            try:
                self._socket.sendall(json.dumps(request).encode() + b"\n")
            except OSError as error:
                raise QmpError(f"QEMU is gone ({command}: {error.strerror})") from None
            while True:
                message = self._receive(deadline)
                if "event" in message:
                    self._events.append(message)
                elif "error" in message:
                    raise QmpError(f"QEMU refused {command}: {message['error']['desc']}")
                elif "return" in message:
                    return message["return"]

    def wait_event(self, name: str, limit_s: float, **data: object) -> bool:
        """Whether the event came (or had come since it was last asked for) with this data within the limit."""
        deadline = time.monotonic() + limit_s
        with self._lock:
            while True:
                for event in self._events:
                    if event["event"] == name and data.items() <= event.get("data", {}).items():
                        self._events.remove(event)
                        return True
                try:
                    message = self._receive(deadline)
                except QmpError:
                    return False
                if "event" in message:
                    self._events.append(message)

    def close(self) -> None:
        """Close this end; QEMU runs on."""
        self._socket.close()

    def _receive(self, deadline: float) -> dict[str, Any]:
        while b"\n" not in self._buffer:
            self._socket.settimeout(max(deadline - time.monotonic(), 0.001))
            try:
                data = self._socket.recv(65536)
            except TimeoutError:
                raise QmpError("QEMU did not answer in time") from None
            except OSError as error:
                raise QmpError(f"QEMU is gone ({error.strerror})") from None
            if not data:
                raise QmpError("QEMU is gone")
            self._buffer += data
        line, _, self._buffer = self._buffer.partition(b"\n")
        message: dict[str, Any] = json.loads(line)
        return message
