"""Running one command as the genuine plugin does: `/bin/sh -c`, both streams kept and shown line by line."""

import os
import subprocess
import threading
from collections.abc import Callable, Sequence
from typing import IO

from .properties import Properties

# A failed command's output travels in the trailer of one RPC, which has a size limit: its end says why it failed.
SHOWN_OUTPUT_BYTES = 16 * 1024
# One line of the log; the genuine plugin stops for ever at a line of more than 64 KiB, here it is cut.
LOGGED_LINE_BYTES = 16 * 1024
# So long may others hold a command's output after its end, and so much of that in silence; the genuine plugin waits
# for ever.
HELD_SECONDS = 3600.0
QUIET_SECONDS = 30.0


class CommandFailedError(Exception):
    """The command could not be run, ended with an error, or was killed; the text has what it wrote."""


class Running:
    """The commands that run now, so that a cancel from the engine can kill them."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._children: set[subprocess.Popen[bytes]] = set()
        self._cancelled = False

    def cancel(self) -> None:
        """SIGKILL to every direct child (their own children live on, as with the genuine plugin); no more may start."""
        with self._lock:
            self._cancelled = True
            for child in self._children:
                child.kill()

    def start(self, arguments: Sequence[str], env: dict[str, str]) -> subprocess.Popen[bytes]:
        """Start a child; CommandFailedError where it can't be started or a cancel came before."""
        with self._lock:
            if self._cancelled:
                raise CommandFailedError("context canceled")
            pipe = subprocess.PIPE
            try:
                child = subprocess.Popen(arguments, env=env, stdin=pipe, stdout=pipe, stderr=pipe)
            except OSError as error:
                raise CommandFailedError(f"{arguments[0]}: {error.strerror}") from error
            self._children.add(child)
            return child

    def ended(self, child: subprocess.Popen[bytes]) -> None:
        """The child has been waited for."""
        with self._lock:
            self._children.discard(child)


def run_command(
    command: str, inputs: Properties, previous: Properties, running: Running, log: Callable[[str], None], timeout: float
) -> tuple[str, str]:
    """Run `command` and wait for it and for all who hold its output; gives back both outputs.

    `log` gets each line while it runs. `timeout` is in seconds, 0 for none: then the child gets SIGKILL.
    CommandFailedError when it fails.
    """
    last = {f"PULUMI_COMMAND_{name.upper()}": previous[name] for name in ("stdout", "stderr") if previous.get(name)}
    env = {**os.environ, **inputs.get("environment", {}), **last}
    child = running.start(["/bin/sh", "-c", command], env)
    timer = threading.Timer(timeout or threading.TIMEOUT_MAX, child.kill)
    timer.daemon = True
    timer.start()
    written: list[bytes] = []
    streams = [_Stream(pipe, written, log) for pipe in (child.stdout, child.stderr)]
    try:
        _feed(child.stdin, inputs.get("stdin") or "")
        status = child.wait()
        stdout, stderr = (stream.text() for stream in streams)
    finally:
        timer.cancel()
        running.ended(child)
    if status:
        reason = "signal: killed" if status == -9 else f"signal {-status}" if status < 0 else f"exit status {status}"
        whole = b"".join(written)
        cut = f"[the first {len(whole) - SHOWN_OUTPUT_BYTES} bytes left out]\n" * (len(whole) > SHOWN_OUTPUT_BYTES)
        raise CommandFailedError(f"{reason}:\n{cut}{whole[-SHOWN_OUTPUT_BYTES:].decode('utf-8', 'replace')}")
    return stdout, stderr


def _feed(pipe: IO[bytes] | None, text: str) -> None:
    try:
        if pipe:
            with pipe:
                pipe.write(text.encode())
    except BrokenPipeError:
        return  # the command did not care for its input


class _Stream:
    """One output of the child, read to its end by a thread of its own; `written` gets what comes, too."""

    def __init__(self, pipe: IO[bytes] | None, written: list[bytes], log: Callable[[str], None]) -> None:
        self._pipe, self._written, self._log = pipe, written, log
        self._lines: list[bytes] = []
        self._thread = threading.Thread(target=self._read, daemon=True)
        self._thread.start()

    def text(self) -> str:
        """All that came, once the last holder of the pipe has closed it, or after so long; one newline is cut off."""
        self._thread.join(QUIET_SECONDS)
        if self._thread.is_alive():
            self._log("waiting for processes that the command left behind and that hold its output")
            self._thread.join(HELD_SECONDS)
        return b"".join(self._lines.copy()).decode("utf-8", "replace").removesuffix("\n")

    def _read(self) -> None:
        for line in self._pipe or ():
            self._lines.append(line)
            self._written.append(line)
            self._log(line.rstrip(b"\r\n")[:LOGGED_LINE_BYTES].decode("utf-8", "replace"))
