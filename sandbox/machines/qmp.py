"""QEMU's control protocol (QMP) over a connected socket: one command at a time, events kept until asked for."""

from __future__ import annotations

import json
import socket
import threading
from collections import deque
from collections.abc import Callable
from typing import Any

from sandbox.machines.protocol import MachineError

REPLY_LIMIT_S = 30.0
EVENTS_KEPT = 200


class QmpError(MachineError):
    """QEMU refused a command, or is gone."""


def _ignore() -> None:
    return None


class Qmp:
    """One connection; safe to use from several threads.

    `on_stop` is called, each time in a thread of its own, when the VM's CPU stops, `on_end` when QEMU is gone.
    """

    def __init__(
        self, connection: socket.socket, on_stop: Callable[[], None] = _ignore, on_end: Callable[[], None] = _ignore
    ) -> None:
        self._socket = connection
        self._on_stop, self._on_end = on_stop, on_end
        self._turn = threading.Lock()
        self._news = threading.Condition()
        self._greeted = False
        self._gone = False
        self._late = 0
        """Replies still to come to commands that nobody waits for any more."""
        self._replies: deque[dict[str, Any]] = deque()
        self._events: deque[dict[str, Any]] = deque(maxlen=EVENTS_KEPT)

    def open(self, limit_s: float) -> None:
        """Wait for QEMU's greeting, which comes when every device is made, and end the negotiation."""
        threading.Thread(target=self._read, name="qmp", daemon=True).start()
        with self._news:
            self._news.wait_for(lambda: self._greeted or self._gone, limit_s)
            if not self._greeted:
                raise QmpError("QEMU is gone" if self._gone else "QEMU did not answer in time")
        self.execute("qmp_capabilities")

    def execute(self, command: str, **arguments: object) -> Any:
        """Run a command and return its answer. Raises QmpError with QEMU's words."""
        request = json.dumps({"execute": command, "arguments": arguments}).encode() + b"\n"
        with self._turn, self._news:
            try:
                self._socket.sendall(request)
            except OSError as error:
                raise QmpError(f"QEMU is gone ({command}: {error.strerror})") from None
            self._news.wait_for(lambda: self._replies or self._gone, REPLY_LIMIT_S)
            if not self._replies:
                self._late += 1
                raise QmpError("QEMU is gone" if self._gone else "QEMU did not answer in time")
            reply = self._replies.popleft()
        if "error" in reply:
            raise QmpError(f"QEMU refused {command}: {reply['error']['desc']}")
        return reply["return"]

    def wait_event(self, name: str, limit_s: float, **data: object) -> bool:
        """Whether the event came (or had come since it was last asked for) with this data within the limit."""

        def found() -> dict[str, Any] | None:
            fitting = (each for each in self._events if each["event"] == name)
            return next((each for each in fitting if data.items() <= each.get("data", {}).items()), None)

        with self._news:
            self._news.wait_for(lambda: found() or self._gone, limit_s)
            event = found()
            if event is not None:
                self._events.remove(event)
            return event is not None

    def close(self) -> None:
        """Close this end; QEMU runs on."""
        self._on_end = _ignore
        try:
            self._socket.shutdown(socket.SHUT_RDWR)
        except OSError:
            return  # QEMU was gone already
        finally:
            self._socket.close()

    def _read(self) -> None:
        try:
            with self._socket.makefile("rb") as lines:
                for line in lines:
                    self._take(json.loads(line))
        except (OSError, ValueError):
            pass  # cut off in the middle of a line: gone all the same
        with self._news:
            self._gone = True
            self._news.notify_all()
        self._on_end()

    def _take(self, message: dict[str, Any]) -> None:
        with self._news:
            if "QMP" in message:
                self._greeted = True
            elif "event" in message:
                self._events.append(message)
            elif self._late:
                self._late -= 1
            else:
                self._replies.append(message)
            self._news.notify_all()
        if message.get("event") == "STOP":
            threading.Thread(target=self._on_stop, name="vm stopped", daemon=True).start()
