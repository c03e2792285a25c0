"""Interruption of what is not an update: destroy, refresh, preview, and the project's own sweep and releases.

Their moments are drawn in seconds, since some of them call the cloud hardly or not at all: a share of what each took
when nothing disturbed it. Afterwards comes the same command once more and then an update, which must find everything.
"""

from __future__ import annotations

import shutil
import time
from collections.abc import Mapping

from tests.reliability.arena import STACK, Seen
from tests.reliability.draws import Draw, Phase
from tests.reliability.interruption import LIMIT, UP, Outcome, Runner
from tests.reliability.processes import left_to_subprocess, wait_until

_PULUMI = ("pulumi", "--color", "never", "--non-interactive")
COMMANDS: Mapping[Phase, tuple[str, ...]] = {
    "destroy": (*_PULUMI, "destroy", "--yes", "--skip-preview", "-s", STACK),
    "refresh": (*_PULUMI, "refresh", "--yes", "--skip-preview", "-s", STACK),
    "preview": (*_PULUMI, "preview", "-s", STACK),
    "sweep": ("python3", "-m", "omi", "sweep", "-s", STACK, "--yes"),
    "releases": ("python3", "-m", "omi", "publish", "-s", STACK),
}


class CommandRunner(Runner):
    """Makes such runs in one arena."""

    def set_up(self) -> None:
        """The images, and how long each command takes."""
        super().set_up()
        self.seconds: dict[Phase, float] = {}
        self.files: dict[str, bytes] = {}
        for phase in COMMANDS:
            self._ready(phase)
            start = time.monotonic()
            done = self._run(COMMANDS[phase])
            self.seconds[phase] = time.monotonic() - start
            assert done.code == 0, done.text

    def _ready(self, phase: Phase) -> Seen:
        """Images are there, and what the command works on."""
        if not self.arena.look().ledger.images:
            done = self._run(UP)
            assert done.code == 0, done.text
        self.files = self.arena.releases()
        if phase == "sweep":
            self.arena.leave_orphans()
        if phase == "releases":
            shutil.rmtree(self.arena.project.folder / "releases")
        return self.arena.look()

    def _prepare(self, draw: Draw) -> Seen:
        self.arena.keep(50)
        return self._ready(draw.phase)

    def _interrupt(self, draw: Draw, outcome: Outcome) -> None:
        process = self._begin(COMMANDS[draw.phase])
        after = draw.at * self.seconds[draw.phase]
        with left_to_subprocess(process.pid):
            wait_until(lambda: process.poll() is not None, after)
            target = self._target(draw, process)
            if target is not None:
                outcome.struck = f"after {after:.1f} s"
                self._strike(draw, target, process)
            process.wait(LIMIT)
        outcome.exit_code = process.returncode

    def _mend(self, outcome: Outcome) -> None:
        self._run_again(COMMANDS[outcome.draw.phase], outcome)
        if outcome.draw.phase != "destroy":
            self._run_again(UP, outcome)

    def _judge(self, before: Seen, outcome: Outcome) -> None:
        seen = self._settle(outcome)
        if outcome.draw.phase == "destroy":
            if seen.ledger.images:
                outcome.problems.append(f"not destroyed: {seen.names}")
        else:
            if seen.names != before.names:
                outcome.problems.append(f"the images were {before.names} and are {seen.names}")
            if (now := self.arena.releases()) != self.files:
                differ = [name for name in now.keys() | self.files.keys() if now.get(name) != self.files.get(name)]
                outcome.problems.append(f"releases files differ: {sorted(differ)}")
        self._tidy(outcome)
