"""Interrupt real updates at random moments and see that one `pulumi up` mends all: on stub VMs, seeded.

    python -m tests.reliability.interruption --runs 200 --seed 1 [--seconds N] [--side-by-side 2]

A run is one `pulumi up` that is interrupted in a drawn way at a drawn moment: after so many of the sandbox's calls
of the drawn phase, and a moment more. Then comes what a person does: `pulumi cancel` where Pulumi says that the stack
is locked, and one `pulumi up`. After it, account and state must hold the same images, of the new content, and nothing
else that wasn't there before; no process, key or file of the run may be left, and nothing of another owner be gone.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import secrets
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

from tests.reliability.arena import STACK, Arena, Seen
from tests.reliability.draws import TARGETS, WAYS, WEIGHTS, Draw, Family, Phase
from tests.reliability.processes import (
    Process,
    adopt_orphans,
    end_with_parent,
    kill_all,
    left_to_subprocess,
    wait_until,
)
from tests.sandbox.ports import free_base_port

LIMIT = 400.0
"""Seconds that an update may take on a busy machine, and that its processes may take to end."""
UP = ("pulumi", "--color", "never", "--non-interactive", "up", "--yes", "--skip-preview", "-s", STACK)
CLEAR = ("pulumi", "--color", "never", "--non-interactive", "refresh", "--yes", "--skip-preview",
         "--clear-pending-creates", "-s", STACK)  # fmt: skip
_AHEAD = 4
"""Calls before a phase from which on they are slow."""


@dataclass
class Outcome:
    """What became of it."""

    draw: Draw
    struck: str = "ended before"
    """At which call, or that the update was over first."""
    exit_code: int = 0
    commands: list[str] = field(default_factory=list)
    """What a person had to run besides the one `pulumi up`."""
    pending: list[str] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    """Language hosts of Pulumi's that outlived their CLI; they end by themselves within five minutes."""
    seconds: float = 0

    def line(self) -> str:
        """For the log."""
        draw, by = self.draw, f"; {', '.join(self.commands)}" if self.commands else ""
        hurry = ", next command at once" if draw.impatient else ""
        problems = "".join(f"\n      PROBLEM: {each}" for each in self.problems)
        return (
            f"{draw.number:4} {draw.phase:15} {draw.way:22} {self.struck}{hurry}; exit {self.exit_code}{by}; "
            f"{self.seconds:.0f} s{problems}"
        )


class Runner:
    """Makes runs in one arena."""

    def __init__(self, arena: Arena, say: Callable[[str], None]) -> None:
        self.arena, self.say = arena, say
        self.starts: dict[Phase, int] = {}
        """Calls of a whole update before the phase begins, and with it."""
        self.ends: dict[Phase, int] = {}

    def set_up(self) -> None:
        """The first image, undisturbed; its calls tell how long the phases are."""
        self.arena.set_up()
        before = self._last_call()
        done = self._run(UP)
        assert done.code == 0, done.text
        actions = [call["action"] for call in self.arena.calls(before)]
        _, verify = (number for number, action in enumerate(actions) if action == "CreateVms")
        self.starts = {"build": 0, "verify": verify, "prune": 0, "build and prune": verify}
        self.ends = {"build": verify, "verify": len(actions) - 1, "prune": 8, "build and prune": len(actions) + 5}
        self._require_good(self.arena.look(), "before the first run")

    def run(self, draw: Draw) -> Outcome:
        """One run from end to end."""
        start = time.monotonic()
        outcome = Outcome(draw)
        before = self._prepare(draw)
        try:
            self._interrupt(draw, outcome)
            if not draw.impatient and not wait_until(lambda: not self.arena.run_processes(), LIMIT):
                outcome.problems += [f"did not end: {each}" for each in self.arena.run_processes()]
            if not self.arena.cloud_pids():
                self.arena.start_cloud()
            self._mend(outcome)
            self._judge(before, outcome)
        except subprocess.TimeoutExpired as error:
            outcome.problems.append(f"took over {error.timeout:.0f} s: {' '.join(error.cmd)[:80]}")
        outcome.seconds = time.monotonic() - start
        return outcome

    def _prepare(self, draw: Draw) -> Seen:
        before = self.arena.look()
        self.arena.keep(50)
        if draw.phase == "prune" and len(before.ledger.images) == 1:  # nothing that could go
            self.arena.change()
            done = self._run(UP)
            assert done.code == 0, done.text
            before = self.arena.look()
        if draw.phase in ("prune", "build and prune"):
            self.arena.keep(1)
        if draw.phase != "prune":
            self.arena.change()
        return before

    def _begin(self, command: Sequence[str]) -> subprocess.Popen[bytes]:
        with self._log() as log:
            return subprocess.Popen(
                command, cwd=self.arena.project.folder, env=self.arena.environment(), stdin=subprocess.DEVNULL,
                stdout=log, stderr=subprocess.STDOUT, start_new_session=True,
            )  # fmt: skip

    def _interrupt(self, draw: Draw, outcome: Outcome) -> None:
        first, last = self.starts[draw.phase], self.ends[draw.phase]
        wanted = first + int(draw.at * (last - first))
        since = self._last_call()
        process = self._begin(UP)
        with left_to_subprocess(process.pid):
            self._wait_for_call(first - _AHEAD, since, process)
            self.arena.slow_down(draw.phase != "build")
            self._wait_for_call(wanted, since, process)
            wait_until(lambda: process.poll() is not None, draw.later)
            target = self._target(draw, process)
            if target is not None:
                calls = self.arena.calls(since)
                outcome.struck = f"after call {len(calls)} {calls[-1]['action'] if calls else '-'} +{draw.later:.1f} s"
                self._strike(draw, target, process)
            if draw.phase != "build" and self.arena.cloud_pids():
                self.arena.slow_down(False)
            process.wait(LIMIT)
        outcome.exit_code = process.returncode

    def _wait_for_call(self, number: int, since: int, process: subprocess.Popen[bytes]) -> None:
        """Wait for that call of the update, or for its end."""
        wait_until(lambda: process.poll() is not None or len(self.arena.calls(since)) >= number, LIMIT)

    def _target(self, draw: Draw, process: subprocess.Popen[bytes]) -> int | None:
        """The pid to strike, None if the update ended before there was one; any one of several (Packer has two)."""
        if draw.way not in TARGETS:
            return process.pid if process.poll() is None else None
        found: list[Process] = []

        def look() -> bool:
            found[:] = [each for each in self.arena.run_processes() if TARGETS[draw.way](each)]
            return bool(found) or process.poll() is not None

        wait_until(look, LIMIT)
        return found[int(draw.between * 100) % len(found)].pid if found else None

    def _strike(self, draw: Draw, target: int, process: subprocess.Popen[bytes]) -> None:
        with contextlib.suppress(ProcessLookupError):
            match draw.way:
                case "SIGINT" | "SIGHUP":  # as a terminal does: to the whole foreground group
                    os.killpg(target, getattr(signal, draw.way))
                case "SIGINT twice":
                    os.killpg(target, signal.SIGINT)
                    if not wait_until(lambda: process.poll() is not None, draw.between):
                        os.killpg(target, signal.SIGINT)
                case "SIGTERM":
                    os.kill(target, signal.SIGTERM)
                case "power loss":
                    kill_all(self.arena.all_processes)
                case "power loss, cloud too":
                    cloud = self.arena.cloud_pids()
                    for pid in cloud:
                        os.kill(pid, signal.SIGSTOP)
                    kill_all(self.arena.all_processes)
                    for pid in cloud:
                        os.kill(pid, signal.SIGKILL)
                    wait_until(lambda: not self.arena.cloud_pids(), LIMIT)
                case _:
                    os.kill(target, signal.SIGKILL)

    def _mend(self, outcome: Outcome) -> None:
        self._run_again(UP, outcome)
        if any(image.record.missing for image in self.arena.look().ledger.images):
            self._run_again(UP, outcome)  # one update marks what an interrupted prune deregistered, the next forgets it

    def _run_again(self, command: Sequence[str], outcome: Outcome) -> None:
        """Run the next command, and `pulumi cancel` before it where the stack is locked."""
        name = " ".join(word for word in command if not word.startswith("-"))[:40]
        done = self._run(command)
        if done.code != 0 and "currently locked" in done.text:
            outcome.commands.append("pulumi cancel")
            cancelled = self._run(("pulumi", "--non-interactive", "cancel", "--yes", "-s", STACK))
            if cancelled.code != 0:
                outcome.problems.append(f"pulumi cancel: {cancelled.text[-300:]}")
            done = self._run(command)
        if done.code != 0:
            outcome.problems.append(f"{name} after it failed: {_reason(done.text)}")
        if not wait_until(lambda: not self.arena.run_processes(), LIMIT):
            outcome.problems.append(f"the processes of {name} after it did not end")

    def _settle(self, outcome: Outcome) -> Seen:
        """What is there in the end, once the engine forgot what it held for pending; its problems are noted."""
        seen = self.arena.look()
        outcome.pending = list(seen.pending)
        if seen.pending:
            outcome.commands.append("pulumi refresh --clear-pending-creates")
            cleared, images = self._run(CLEAR), seen.names
            seen = self.arena.look()
            if cleared.code != 0 or seen.pending or seen.names != images:
                outcome.problems.append(f"pending operations were not cleared: {seen.pending}; {cleared.text[-300:]}")
        outcome.problems += self.arena.problems(seen)
        return seen

    def _judge(self, before: Seen, outcome: Outcome) -> None:
        seen = self._settle(outcome)
        pruned = outcome.draw.phase == "prune"
        kept = before.names if outcome.draw.phase in ("build", "verify") else {before.ledger.images[-1].name}
        if (pruned or outcome.draw.phase in ("build", "verify")) and (gone := kept - seen.names):
            outcome.problems.append(f"images were lost: {gone}")
        if pruned and len(seen.ledger.images) != 1:
            outcome.problems.append(f"not pruned: {seen.names}")
        if not pruned and seen.newest == before.newest:
            outcome.problems.append("the new content was not built")
        self._tidy(outcome)

    def _tidy(self, outcome: Outcome) -> None:
        self.arena.end_lone_hosts()
        self.arena.forget_temporaries()

    def _require_good(self, seen: Seen, when: str) -> None:
        if problems := [*self.arena.problems(seen), *(f"pending: {each}" for each in seen.pending)]:
            raise AssertionError(f"{when}: {'; '.join(problems)}")

    def _last_call(self) -> int:
        calls = self.arena.calls(0)
        return int(calls[-1]["number"]) if calls else 0

    @contextlib.contextmanager
    def _log(self) -> Iterator[int]:
        with (self.arena.project.folder / "e2e.log").open("ab") as log:
            log.write(b"--- interrupted update\n")
            log.flush()
            yield log.fileno()

    def _run(self, command: Sequence[str]) -> Ended:
        """One command to its end; its output also goes to the project's log."""
        with tempfile.TemporaryFile() as output:
            process = subprocess.Popen(
                command, cwd=self.arena.project.folder, env=self.arena.environment(), stdin=subprocess.DEVNULL,
                stdout=output, stderr=subprocess.STDOUT, start_new_session=True,
            )  # fmt: skip
            with left_to_subprocess(process.pid):
                process.wait(LIMIT)
            output.seek(0)
            text = output.read().decode("utf-8", "replace")
        with self._log() as log:
            os.write(log, f"$ {' '.join(command)}\n{text}\n[exit {process.returncode}]\n".encode())
        return Ended(process.returncode, text)


@dataclass(frozen=True)
class Ended:
    """How a command ended."""

    code: int
    text: str


def _reason(text: str) -> str:
    lines = [line.strip() for line in text.splitlines() if "error" in line]
    return " | ".join(lines[-4:])[:800]


@contextlib.contextmanager
def ready_runner(say: Callable[[str], None], family: Family = "updates") -> Iterator[Runner]:
    """A runner in an arena of its own, which is gone afterwards."""
    from tests.reliability.commands import CommandRunner
    from tests.reliability.copies import CopyRunner
    from tests.reliability.imports import ImportRunner

    kinds: dict[Family, type[Runner]] = {
        "updates": Runner, "copies": CopyRunner, "others": CommandRunner, "imports": ImportRunner,
    }  # fmt: skip
    adopt_orphans()
    with tempfile.TemporaryDirectory(prefix="omi-int-", ignore_cleanup_errors=True) as folder:
        arena = Arena(Path(folder), free_base_port())
        try:
            runner = kinds[family](arena, say)
            runner.set_up()
            yield runner
        finally:
            kill_all(arena.all_processes)
            arena.close()


def work(
    seed: int, numbers: Sequence[int], until: float, say: Callable[[str], None], family: Family
) -> Iterator[Outcome]:
    """Make these runs one after another, and begin none after that moment (of the monotonic clock) but the first.

    After a problem the next one has a fresh arena.
    """
    waiting = list(numbers)
    while waiting:
        with ready_runner(say, family) as runner:
            while waiting:
                outcome = runner.run(Draw.of(seed, waiting.pop(0), family))
                yield outcome
                if time.monotonic() >= until:
                    return
                if outcome.problems:
                    say(runner.arena.project.log_tail(150))
                    break


def table(outcomes: Sequence[Outcome]) -> str:
    """Markdown: a row for each way of interruption."""
    heads = ("interrupted by", "runs", "over before it struck", "needed `pulumi cancel`", "left a pending create")
    rows = [f"| {' | '.join(heads)} | problems |", "|---|---|---|---|---|---|"]
    for way in dict.fromkeys(way for ways in WAYS.values() for way in ways):
        mine = [each for each in outcomes if each.draw.way == way]
        if mine:
            rows.append(_row(f"kill -9 of {way}" if way in TARGETS else way, mine))
    rows.append(_row("**all**", outcomes))
    phases = Counter(each.draw.phase for each in outcomes)
    return "\n".join([*rows, "", "Phases: " + ", ".join(f"{phase} {count}" for phase, count in phases.items())])


def _row(name: str, outcomes: Sequence[Outcome]) -> str:
    missed = sum(each.struck == "ended before" for each in outcomes)
    cancelled = sum("pulumi cancel" in each.commands for each in outcomes)
    pending = sum(bool(each.pending) for each in outcomes)
    problems = sum(bool(each.problems) for each in outcomes)
    return f"| {name} | {len(outcomes)} | {missed} | {cancelled} | {pending} | {problems} |"


def main() -> int:
    """Share the runs out to processes of their own, each with its own sandbox; print what became of each."""
    given = _parser().parse_args()
    seed = secrets.randbelow(10**6) if given.seed is None else given.seed
    numbers = range(given.first, given.first + given.runs)
    if given.share is not None:
        end_with_parent()
        until = time.monotonic() + given.seconds if given.seconds else float("inf")
        for outcome in work(seed, numbers[given.share :: given.side_by_side], until, _to_stderr, given.family):
            sys.stdout.write(f"{json.dumps(asdict(outcome))}\n")  # at once: all shares write to one pipe
            sys.stdout.flush()
        return 0
    print(f"interruption: seed {seed}, {given.runs} runs, {given.side_by_side} side by side", flush=True)
    outcomes = list(_share_out(seed, given))
    print(table(outcomes), flush=True)
    bad = [each for each in outcomes if each.problems]
    print(f"interruption: seed {seed}: {len(outcomes)} runs, {len(bad)} with problems", flush=True)
    return 1 if bad or not outcomes else 0


def _share_out(seed: int, given: argparse.Namespace) -> Iterator[Outcome]:
    command = [sys.executable, "-m", "tests.reliability.interruption", "--seed", str(seed), "--runs", str(given.runs),
               "--seconds", str(given.seconds), "--first", str(given.first), "--family", given.family,
               "--side-by-side", str(given.side_by_side)]  # fmt: skip
    reading, writing = os.pipe()
    workers = [
        subprocess.Popen([*command, "--share", str(share)], stdout=writing, stdin=subprocess.DEVNULL)
        for share in range(given.side_by_side)
    ]
    os.close(writing)
    with os.fdopen(reading, encoding="utf-8") as lines:
        for line in lines:
            told = json.loads(line)
            outcome = Outcome(**{**told, "draw": Draw(**told["draw"])})
            print(outcome.line(), flush=True)
            yield outcome
    for worker in workers:
        if worker.wait() != 0:
            raise SystemExit(f"interruption: a worker ended with exit code {worker.returncode}")


def _to_stderr(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m tests.reliability.interruption", description=__doc__)
    parser.add_argument("--runs", type=int, default=200)
    parser.add_argument("--seed", type=int, help="what all draws follow from; printed (default: a new one)")
    parser.add_argument(
        "--seconds", type=float, default=0, help="begin no run after this time but the first (default: no limit)"
    )
    parser.add_argument("--first", type=int, default=0, help="number of the first run, to repeat a certain one")
    parser.add_argument("--side-by-side", type=int, default=2)
    parser.add_argument(
        "--family",
        choices=WEIGHTS,
        default="updates",
        help="updates, those that carry an image over, other commands, or `python -m omi import`",
    )
    parser.add_argument("--share", type=int, help=argparse.SUPPRESS)
    return parser


if __name__ == "__main__":
    sys.exit(main())
