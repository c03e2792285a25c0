"""The process that owns a build, in a session of its own, so that its starter may be killed at any time.

Pulumi's command plugin ends a cancelled command with SIGKILL, which no handler sees. So the command that it starts is
only a front. The supervisor watches the front by a pidfd; when that is gone, it ends Packer and cleans up.
"""

from __future__ import annotations

import os
import select
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from types import FrameType

from omi.build.alone import LIMIT, hold_alone
from omi.build.copy import CopyMaker
from omi.build.job import PROJECT, Job
from omi.build.lifecycle import Lifecycle
from omi.build.maker import Maker
from omi.build.packer.inputs import run_folder
from omi.build.packer.maker import TRIES, PackerMaker
from omi.build.packer.runner import GRACE
from omi.build.taking_over import TakingOver
from omi.outscale.client import Cloud
from omi.state.identity import Identity
from omi.state.image import ImageRecord, ImageSpec
from omi.support.environment import without
from omi.support.errors import BuildError, OmiError
from omi.support.narration import Narrator, narrated, tell
from omi.support.places import BUILD

_EVERY = 60.0
"""Seconds between two checks of the supervisor's remaining time."""
_SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)


def run_supervised(spec: ImageSpec) -> int:
    """The front's part: run the build in a process of its own; returns its exit code.

    Signals are passed on. The end of this process's starter (for example, the plugin is killed with the engine) counts
    as a signal. The supervisor prints the record itself: it inherits standard output and standard error. If it is
    killed (for example by the kernel, out of memory), its leftovers are removed here, and BuildError is raised.
    """
    parent = os.getppid()
    process = subprocess.Popen(
        [sys.executable, "-m", "omi.commands", "supervise", str(os.getpid())],
        cwd=PROJECT,
        env=without(os.environ, "PULUMI_*"),
        stdin=subprocess.PIPE,
        start_new_session=True,
        text=True,
    )

    limit = _Limit(time.monotonic() + _longest(spec))

    def pass_on(number: int, _: FrameType | None) -> None:
        limit.shorten(_ending(spec))
        process.send_signal(number)

    for number in _SIGNALS:
        signal.signal(number, pass_on)
    if parent > 1:  # otherwise it is gone already, or outside of this container
        _when_ended(parent, process.terminate)
    _wait(process, spec, limit)
    if process.returncode < 0:
        ended = f"{spec.name}: the build's supervisor was ended by {signal.Signals(-process.returncode).name}"
        try:
            with _alone(spec, threading.Event(), os.environ) as lifecycle:
                lifecycle.clean_up()
        except OmiError as error:
            raise BuildError(f"{ended}, and what it had made may be there: {error}; run again") from error
        raise BuildError(f"{ended}; what it left was swept; run again")
    return process.returncode


@dataclass
class _Limit:
    """The time when the front stops waiting for the supervisor, by the monotonic clock."""

    end: float

    @property
    def left(self) -> float:
        """Seconds until then."""
        return self.end - time.monotonic()

    def shorten(self, seconds: float) -> None:
        """Wait no longer than so many seconds from now."""
        self.end = min(self.end, time.monotonic() + seconds)


def _longest(spec: ImageSpec) -> float:
    """Seconds that a build takes at most, if every wait reaches its limit."""
    limits = spec.cloud.limits
    return LIMIT + TRIES * (spec.vm.timeout + _ending(spec)) + 3 * spec.vm.verify_timeout + 3 * limits.transfer


def _ending(spec: ImageSpec) -> float:
    """Seconds for Packer to end and for the clean-up."""
    limits = spec.cloud.limits
    return GRACE + limits.image + limits.vm_end + 6 * limits.in_use


def _wait(process: subprocess.Popen[str], spec: ImageSpec, limit: _Limit) -> None:
    """Wait for the supervisor. It limits each of its own waits; after the sum of all limits it is ended."""
    text: str | None = spec.to_json()
    for end in (process.terminate, process.kill):
        while limit.left > 0:
            with suppress(subprocess.TimeoutExpired):
                process.communicate(text, timeout=min(_EVERY, limit.left))
                return
            text = None
        tell(f"{spec.name}: the build's supervisor does not end though each of its waits is limited: ending it")
        end()
        limit.end += _ending(spec)
    process.communicate(timeout=_EVERY)


def build_image(spec: ImageSpec, front: int | None, environ: Mapping[str, str]) -> ImageRecord:
    """The supervisor's part: build one image, and end cleanly on a signal or when the process `front` has gone."""
    stop = stopped_by_signals()
    if front is not None:
        _watch(front, stop)
    with _alone(spec, stop, environ) as lifecycle:
        return lifecycle.run()


def stopped_by_signals() -> threading.Event:
    """An event that is set when a signal asks the process to end."""
    stop = threading.Event()
    for number in _SIGNALS:
        signal.signal(number, lambda *_: stop.set())
    signal.signal(signal.SIGPIPE, signal.SIG_IGN)
    return stop


@contextmanager
def _alone(spec: ImageSpec, stop: threading.Event, environ: Mapping[str, str]) -> Iterator[Lifecycle | TakingOver]:
    """The image's lifecycle, or its taking over, under the image's lock."""
    folder = run_folder(PROJECT / BUILD, spec)
    with hold_alone(folder.path, spec.name, stop, tell) as lock:
        narrator = Narrator(sys.stderr, folder.build_log)
        with narrated(narrator):
            job = Job(Identity(spec), Cloud.connect(spec.cloud, environ), folder, narrator, stop, environ)
            maker: Maker = PackerMaker(job, lock=lock) if spec.copy_from is None else CopyMaker(job, spec.copy_from)
            yield TakingOver(job, spec.take_over) if spec.take_over is not None else Lifecycle(job, maker)


def _watch(front: int, stop: threading.Event) -> None:
    """Set `stop` as soon as the process has ended."""
    _when_ended(front, stop.set)
    if os.getppid() != front:  # it died before the pidfd was opened, and another process may have its number by now
        stop.set()


def _when_ended(process: int, act: Callable[[], None]) -> None:
    """Call `act` as soon as the process has ended; at once if no process has this number."""
    try:
        handle = os.pidfd_open(process)
    except OSError:
        act()
        return

    def wait() -> None:
        select.select([handle], [], [])
        act()

    threading.Thread(target=wait, name=f"end of {process}", daemon=True).start()
