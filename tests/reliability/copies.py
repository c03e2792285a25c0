"""Interruption of updates that carry an image over to another Region, while the copy is under way.

The moment is drawn among the copy's calls in both Regions and at the object store; one `pulumi up` must then have the
same bytes in both, and leave no bucket.
"""

from __future__ import annotations

from typing import Any

from omi.state.ledger import LedgerImage
from tests.reliability.arena import ACCOUNTS, Seen
from tests.reliability.draws import Draw
from tests.reliability.interruption import LIMIT, UP, Outcome, Runner
from tests.reliability.processes import left_to_subprocess, wait_until

HOME, OTHER = ACCOUNTS


class CopyRunner(Runner):
    """Makes such runs in one arena."""

    def set_up(self) -> None:
        """The first image and its copy; an undisturbed update of both tells how many calls a copy makes."""
        super().set_up()
        project = self.arena.project
        cloud = project.configured("cloud")
        there = {key: cloud[key] for key in ("api", "oos")} | {"osc_profile": ACCOUNTS[OTHER]}
        project.configure("regions", {OTHER: {"cloud": there, "images": "copy"}})
        for _ in range(2):
            before = self._last_call()
            done = self._run(UP)
            assert done.code == 0, done.text
            self.calls = len(self._of_copy(before))
            self._require_good(self.arena.look(), "before the first run")
            self.arena.change()
        assert self.calls > 40, self.calls

    def _of_copy(self, since: int) -> list[dict[str, Any]]:
        """The calls from the first one of the copy on: the other Region's, after the VM that builds at home."""
        calls = self.arena.calls(since)
        launched = [number for number, call in enumerate(calls) if call["action"] == "CreateVms"]
        begun = [number for number, call in enumerate(calls) if call["profile"] == ACCOUNTS[OTHER]]
        return next((calls[number:] for number in begun if launched and number > launched[0]), [])

    def _prepare(self, draw: Draw) -> Seen:
        before = self.arena.look()
        self.arena.change()
        return before

    def _interrupt(self, draw: Draw, outcome: Outcome) -> None:
        since, wanted = self._last_call(), 1 + int(draw.at * self.calls)
        process = self._begin(UP)
        with left_to_subprocess(process.pid):
            for number in (1, wanted):
                wait_until(lambda: process.poll() is not None or len(self._of_copy(since)) >= number, LIMIT)  # noqa: B023
                self.arena.slow_down(True)
            wait_until(lambda: process.poll() is not None, draw.later)
            target = self._target(draw, process)
            if target is not None:
                calls = self._of_copy(since)
                outcome.struck = f"after call {len(calls)} {calls[-1]['action'] if calls else '-'} +{draw.later:.1f} s"
                self._strike(draw, target, process)
            if self.arena.cloud_pids():
                self.arena.slow_down(False)
            process.wait(LIMIT)
        outcome.exit_code = process.returncode

    def _judge(self, before: Seen, outcome: Outcome) -> None:
        seen = self._settle(outcome)
        if gone := _held(before) - _held(seen):
            outcome.problems.append(f"images were lost: {gone}")
        home, there = (_newest(seen, region) for region in (HOME, OTHER))
        if home.spec.digest == _newest(before, HOME).spec.digest:
            outcome.problems.append("the new content was not built")
        if there.name != home.name or there.record.copied_from != f"{HOME}:{home.record.omi}":
            outcome.problems.append(f"{home.name} was not copied: {there.name} of {there.record.copied_from}")
        elif self._disk(home) != self._disk(there):
            outcome.problems.append(f"{home.name} has other bytes in {OTHER}")
        self._tidy(outcome)

    def _disk(self, image: LedgerImage) -> bytes:
        (snapshot,) = image.record.snapshots
        return (self.arena.project.home / "volumes" / f"{snapshot}.json").read_bytes()


def _held(seen: Seen) -> set[tuple[str, str]]:
    return {(image.region, image.record.omi) for image in seen.ledger.images}


def _newest(seen: Seen, region: str) -> LedgerImage:
    return max((each for each in seen.ledger.images if each.region == region), key=lambda each: each.revision)
