"""Interruption of `python -m omi import`: the list then has all of the old images or none, and one more mends it.

The moment is a share of the seconds that it took undisturbed, or a while after Pulumi began to write the config.
"""

from __future__ import annotations

import time

import yaml

from tests.reliability.arena import ACCOUNTS, STACK, Seen, account_of
from tests.reliability.draws import WRITING, Draw
from tests.reliability.interruption import LIMIT, Outcome, Runner
from tests.reliability.processes import left_to_subprocess, wait_until
from tests.sandbox.client import empty_volume, register, snapshot

IMPORT = ("python3", "-m", "omi", "import", "-s", STACK, "old.yaml", "--yes")
IMAGES = 25
"""How many images the old file tells of."""


class ImportRunner(Runner):
    """Makes such runs in one arena."""

    def set_up(self) -> None:
        """An account full of old images, the file that tells of them, and what an undisturbed import makes of both."""
        self.arena.set_up()
        region, profile = next(iter(ACCOUNTS.items()))
        account = account_of(self.arena.project, profile)
        taken = snapshot(account, empty_volume(account))
        old: dict[str, dict[str, dict[str, object]]] = {}
        for number in range(IMAGES):
            name, release = f"alpine-ami-3.23.{number}-x86_64-r0", f"3.23.{number}"
            artifacts = {region: register(account, name, taken)}
            what = {"profile_build": "v3_23-x86_64", "release": release, "revision": "r0", "arch": "x86_64"}
            what["build_time"] = "1630478686"
            old[release] = {"v3_23-x86_64": {name: {**what, "artifacts": artifacts}}}
        folder = self.arena.project.folder
        (folder / "old.yaml").write_text(yaml.safe_dump(old), encoding="utf-8")
        self.arena.decoys = self.arena.inventory()
        self.config = folder / "stacks" / f"Pulumi.{STACK}.yaml"
        self.before, self.files = self.config.read_bytes(), self._files()
        start = time.monotonic()
        done = self._run(IMPORT)
        self.seconds = time.monotonic() - start
        assert f"{IMAGES} to adopt are in the stack's config now" in done.text, done.text
        self.after = self.config.read_bytes()
        assert len(yaml.safe_load(self.after)["config"]["alpine-omi:adopt"]) == IMAGES

    def _files(self) -> set[str]:
        return {path.name for path in self.config.parent.iterdir()}

    def _prepare(self, draw: Draw) -> Seen:
        self.config.write_bytes(self.before)
        return self.arena.look()

    def _interrupt(self, draw: Draw, outcome: Outcome) -> None:
        process = self._begin(IMPORT)
        after = 0.0 if draw.way == WRITING else draw.at * self.seconds
        with left_to_subprocess(process.pid):
            wait_until(lambda: process.poll() is not None, after)
            target = self._target(draw, process)
            if target is not None:
                if draw.way == WRITING:
                    wait_until(lambda: process.poll() is not None, draw.at)  # it takes about half a second
                outcome.struck = f"after {after:.1f} s"
                self._strike(draw, target, process)
            process.wait(LIMIT)
        outcome.exit_code = process.returncode

    def _mend(self, outcome: Outcome) -> None:
        if self.config.read_bytes() not in (self.before, self.after):
            outcome.problems.append(f"the config is neither as it was nor as it shall be: {self.config.read_text()!r}")
        self._run_again(IMPORT, outcome)

    def _judge(self, before: Seen, outcome: Outcome) -> None:
        if self.config.read_bytes() != self.after:
            outcome.problems.append("one more import did not bring about what an undisturbed one does")
        if strange := self._files() ^ self.files:
            outcome.problems.append(f"files left or gone beside the config: {sorted(strange)}")
        self._settle(outcome)
        self._tidy(outcome)
