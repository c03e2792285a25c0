"""Every fault at every call: `python -m tests.reliability.faults [--seconds N] [--seed S] [--results FILE]`.

Records the calls that a build, a verify, an adoption, an update, a prune and a copy make, those of the object store
included, then tries each of them with every fault, in an order that the seed decides, for as long as it may. Prints
the tables; exit code 1 if anything was left, lost, touched or wrong. With `--results` cases that the file has are not
tried again, so that a whole matrix can be run in parts. Needs the toolchain's environment (`. toolchain/env.sh`).
"""

from __future__ import annotations

import argparse
import itertools
import json
import queue
import random
import secrets
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

from tests.reliability.matrix import COMMANDS, Case, Command, Verdict, cases_of, judge, perform, prepare
from tests.reliability.report import by_kind, failures, table
from tests.reliability.stage import COPIED, TOP, Booth, staged
from tests.sandbox import client

WORKERS = 6
PATIENCE = 120.0
"""Seconds that the sandbox may take to answer the runner itself on a machine that is busy with other things."""


def record_cases(booths: Sequence[Booth], commands: Sequence[str] = COMMANDS) -> list[Case]:
    """The cases of the calls that the commands make when nothing goes wrong; a command at a time in each booth."""
    with ThreadPoolExecutor(len(booths)) as several:
        wanted = [command for command in COMMANDS if command in commands]
        free = itertools.cycle(booths)
        locks = {booth.profile: threading.Lock() for booth in booths}
        return [case for cases in several.map(partial(_record, locks), free, wanted) for case in cases]


def _record(locks: Mapping[str, threading.Lock], booth: Booth, command: Command) -> list[Case]:
    with locks[booth.profile]:
        prepared = prepare(booth, command)
        before = len(booth.calls())
        ended = perform(booth, command, prepared)
        if ended.code != 0:
            raise RuntimeError(f"{command} fails without any fault: {ended.said}")
        return list(cases_of(command, booth.calls()[before:]))


def one_of_each(cases: Sequence[Case], seed: int) -> list[Case]:
    """One case of each kind of fault, of those that don't take long, as the seed decides."""
    found = {case.kind: case for case in in_order([case for case in cases if not case.is_long], seed)}
    return list(found.values())


def in_order(cases: Sequence[Case], seed: int) -> list[Case]:
    """The cases in the order that belongs to the seed."""
    return random.Random(seed).sample(cases, len(cases))  # noqa: S311 - an order, not a secret


def try_all(booths: Sequence[Booth], cases: Sequence[Case], seconds: float, tell: Callable[[Verdict], None]) -> None:
    """Try the cases in their order, one at a time in each booth, and begin none after so many seconds."""
    end = time.monotonic() + seconds
    waiting: queue.SimpleQueue[Case] = queue.SimpleQueue()
    for case in cases:
        waiting.put(case)
    guard = threading.Lock()
    broken: list[BaseException] = []

    def work(booth: Booth) -> None:
        while time.monotonic() < end and not broken:
            try:
                case = waiting.get_nowait()
            except queue.Empty:
                return
            try:
                verdict = judge(booth, case)
            except TimeoutError:  # the machine is so busy that the sandbox doesn't answer the runner itself
                waiting.put(case)
                continue
            except BaseException as error:
                broken.append(error)
                raise
            with guard:
                tell(verdict)

    threads = [threading.Thread(target=work, args=(booth,), name=booth.profile) for booth in booths]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if broken:
        raise broken[0]


def main(arguments: Sequence[str] | None = None) -> int:
    """Run it; the seed is printed first."""
    parser = argparse.ArgumentParser(prog="python -m tests.reliability.faults", description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=float, default=float("inf"), help="begin no case after this time")
    parser.add_argument("--seed", type=int, default=secrets.randbelow(10**6), help="decides the order (default: any)")
    parser.add_argument("--workers", type=int, default=WORKERS, help="commands at once (%(default)s)")
    parser.add_argument("--results", type=Path, help="file with a line of JSON for each case; is added to")
    parser.add_argument("--commands", nargs="*", default=COMMANDS, choices=COMMANDS)
    parser.add_argument("--only", default="", help="only cases whose name has this text")
    given = parser.parse_args(arguments)
    client.LIMIT = PATIENCE
    print(f"seed {given.seed}", flush=True)
    verdicts = read_results(given.results)
    with tempfile.TemporaryDirectory(prefix="faults-") as folder, staged(Path(folder), given.workers) as stage:
        recorded = record_cases(stage.booths, given.commands)
        cases = in_order([case for case in recorded if given.only in case.name], given.seed)
        known = {each.name for each in verdicts}
        print(f"{len(cases)} cases, {len(known & {case.name for case in cases})} of them known", flush=True)

        code = tried_code()

        def tell(verdict: Verdict) -> None:
            verdict.code = code
            verdicts.append(verdict)
            mark = "." if verdict.is_good else "BAD " + verdict.to_json() + "\n"
            print(mark, end="", flush=True)
            if given.results:
                with given.results.open("a", encoding="utf-8") as file:
                    file.write(verdict.to_json() + "\n")

        try_all(stage.booths, [case for case in cases if case.name not in known], given.seconds, tell)
    print(f"\n\n{table(verdicts)}\n\n{by_kind(verdicts)}\n")
    print(f"{sum(not each.reached for each in verdicts)} cases whose fault did not strike are not counted")
    if bad := failures(verdicts):
        print(f"not good:\n{bad}")
        return 1
    return 0


def tried_code() -> str:
    """The last commit that changed what a command runs; with a `+` where that was changed since."""
    parts = ("--", *COPIED)
    commit = _git("log", "-1", "--format=%h", *parts)
    return commit + ("+" if _git("status", "--porcelain", *parts) else "")


def _git(*arguments: str) -> str:
    done = subprocess.run(["git", *arguments], cwd=TOP, capture_output=True, text=True, check=False)
    return done.stdout.strip()


def read_results(path: Path | None) -> list[Verdict]:
    """What an earlier run wrote."""
    if path is None or not path.exists():
        return []
    return [Verdict(**json.loads(line)) for line in path.read_text(encoding="utf-8").splitlines()]


if __name__ == "__main__":
    sys.exit(main())
