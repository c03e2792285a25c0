"""Running one command as the genuine plugin does: `/bin/sh -c`, both streams kept and shown line by line."""

import os
import subprocess
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import IO

from .properties import Settings

SHELL = ("/bin/sh", "-c")
# A failed command's output travels in the trailer of one RPC, which has a size limit: its end says why it failed.
SHOWN_OUTPUT_CHARACTERS = 16 * 1024
# One line of the log; the genuine plugin stops for ever at a line of more than 64 KiB, here it is cut.
LOGGED_LINE_BYTES = 16 * 1024
# So long may others hold a command's output after its end, and so much of that in silence; the genuine plugin waits
# for ever.
HELD_SECONDS = 3600.0
QUIET_SECONDS = 30.0
_READ_BYTES = 64 * 1024


class CommandFailedError(Exception):
    """The command could not be run, ended with an error, or was killed; the text carries what it wrote."""


@dataclass(frozen=True)
class Output:
    """What a command wrote, one trailing newline cut off each."""

    stdout: str
    stderr: str


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

    def start(self, arguments: Sequence[str], *, cwd: str, env: dict[str, str], stdin: bool) -> subprocess.Popen[bytes]:
        """Start a child; CommandFailedError where it can't be started or a cancel came before."""
        with self._lock:
            if self._cancelled:
                raise CommandFailedError("context canceled")
            try:
                child = subprocess.Popen(
                    arguments,
                    cwd=cwd,
                    env=env,
                    stdin=subprocess.PIPE if stdin else subprocess.DEVNULL,
                    stdout=subprocess.PIPE,
                    stderr=subprocess.PIPE,
                )
            except OSError as error:
                raise CommandFailedError(f"{error.filename or arguments[0]}: {error.strerror}") from error
            self._children.add(child)
            return child

    def ended(self, child: subprocess.Popen[bytes]) -> None:
        """The child has been waited for."""
        with self._lock:
            self._children.discard(child)


@dataclass
class _Kept:
    """Both streams in the order they came, for the error text."""

    chunks: list[bytes] = field(default_factory=list)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def add(self, chunk: bytes) -> None:
        with self.lock:
            self.chunks.append(chunk)

    def end(self) -> str:
        text = b"".join(self.chunks).decode("utf-8", "replace")
        if len(text) <= SHOWN_OUTPUT_CHARACTERS:
            return text
        return (
            f"[the first {len(text) - SHOWN_OUTPUT_CHARACTERS} characters left out]\n{text[-SHOWN_OUTPUT_CHARACTERS:]}"
        )


def run_command(
    command: str, settings: Settings, running: Running, log: Callable[[str], None], timeout: float, *, secret: bool
) -> Output:
    """Run `command` and wait for it and for all who hold its output.

    `log` gets each line while it runs, as `settings.logging` says. `timeout` is in seconds, 0 for none: then the child
    gets SIGKILL. `secret` keeps the command itself out of the error. CommandFailedError when it fails.
    """
    shown = "[secret]" if secret else f'"{command}"'
    try:
        child = running.start(
            [*(settings.interpreter or SHELL), command],
            cwd=settings.dir or os.getcwd(),  # noqa: PTH109 (a string as the child takes it)
            env=_environment(settings),
            stdin=bool(settings.stdin),
        )
    except CommandFailedError as error:
        raise CommandFailedError(f"{error}: running {shown}") from error
    kept = _Kept()
    streams = (
        _Stream(child.stdout, kept, log if settings.logging in (None, "stdout", "stdoutAndStderr") else None),
        _Stream(child.stderr, kept, log if settings.logging in (None, "stderr", "stdoutAndStderr") else None),
    )
    timer = threading.Timer(timeout, child.kill) if timeout > 0 else None
    if timer:
        timer.daemon = True
        timer.start()
    try:
        _feed(child, settings.stdin)
        status = child.wait()
        stdout, stderr = (stream.text() for stream in streams)
    finally:
        if timer:
            timer.cancel()
        running.ended(child)
    if status:
        reason = "signal: killed" if status == -9 else f"signal {-status}" if status < 0 else f"exit status {status}"
        raise CommandFailedError(f"{reason}: running {shown}:\n{kept.end()}")
    return Output(stdout=stdout.removesuffix("\n"), stderr=stderr.removesuffix("\n"))


def _environment(settings: Settings) -> dict[str, str]:
    env = {**os.environ, **settings.environment}
    if settings.add_previous_output:
        if settings.stdout:
            env["PULUMI_COMMAND_STDOUT"] = settings.stdout
        if settings.stderr:
            env["PULUMI_COMMAND_STDERR"] = settings.stderr
    return env


def _feed(child: subprocess.Popen[bytes], text: str | None) -> None:
    if child.stdin is None or text is None:
        return
    try:
        child.stdin.write(text.encode())
        child.stdin.close()
    except BrokenPipeError:
        return  # the command did not care for its input


class _Stream:
    """One output of the child, read to its end by a thread of its own."""

    def __init__(self, pipe: IO[bytes] | None, kept: _Kept, log: Callable[[str], None] | None) -> None:
        if pipe is None:
            raise CommandFailedError("the command was started without a pipe for its output")
        self._pipe, self._kept, self._log = pipe, kept, log
        self._chunks: list[bytes] = []
        self._thread = threading.Thread(target=self._read, daemon=True)
        self._thread.start()

    def text(self) -> str:
        """All that came, once the last holder of the pipe has closed it, or after so long."""
        self._thread.join(QUIET_SECONDS)
        if self._thread.is_alive():
            self._show(b"waiting for processes that the command left behind and that hold its output")
            self._thread.join(HELD_SECONDS)
        return b"".join(self._chunks.copy()).decode("utf-8", "replace")

    def _read(self) -> None:
        line = bytearray()
        with self._pipe:
            while chunk := os.read(self._pipe.fileno(), _READ_BYTES):
                self._chunks.append(chunk)
                self._kept.add(chunk)
                if self._log:
                    *whole, rest = chunk.split(b"\n")
                    for part in whole:
                        self._show(line + part)
                        line = bytearray()
                    line += rest[: LOGGED_LINE_BYTES - len(line)]
        if line:
            self._show(line)

    def _show(self, line: bytes | bytearray) -> None:
        if self._log:
            self._log(bytes(line[:LOGGED_LINE_BYTES]).removesuffix(b"\r").decode("utf-8", "replace"))
