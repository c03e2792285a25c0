"""A seeded handful of interrupted updates, and that the runner itself looks at what it says; `make soak` makes more."""

from __future__ import annotations

import subprocess
import sys
import time
from collections import Counter

import pytest

from tests.e2e.project import TOP
from tests.reliability.draws import WAYS, WEIGHTS, Draw
from tests.reliability.processes import descendants, kill_all

HANDFUL = 285
"""A seed whose first four runs are: ^C of a build, the CLI killed in a prune, the supervisor killed in a verify, and a
power loss in a verify."""


@pytest.mark.slow
def test_one_update_mends_what_a_handful_of_interruptions_left() -> None:
    drawn = [(draw.phase, draw.way) for draw in (Draw.of(HANDFUL, number) for number in range(4))]
    assert drawn == [
        ("build", "SIGINT"), ("prune", "kill -9 of the CLI"), ("verify", "the supervisor"), ("verify", "power loss"),
    ]  # fmt: skip
    command = [sys.executable, "-m", "tests.reliability.interruption", "--runs", "4", "--seed", str(HANDFUL)]
    done = subprocess.run(command, cwd=TOP, capture_output=True, text=True, timeout=1500, check=False)
    assert done.returncode == 0, done.stdout + done.stderr[-8000:]
    assert f"interruption: seed {HANDFUL}: 4 runs, 0 with problems" in done.stdout


def test_a_seed_decides_every_draw_and_two_hundred_draws_try_every_way() -> None:
    drawn = [Draw.of(1, number) for number in range(200)]
    assert drawn == [Draw.of(1, number) for number in range(200)]
    assert drawn != [Draw.of(2, number) for number in range(200)]
    for family, weights in WEIGHTS.items():
        seen = Counter((draw.phase, draw.way) for draw in (Draw.of(1, number, family) for number in range(200)))
        assert {way for _, way in seen} == {way for phase in weights for way in WAYS[phase]}
        assert {phase for phase, _ in seen} == set(weights)
    assert {phase for weights in WEIGHTS.values() for phase in weights} == set(WAYS)


def test_a_power_loss_ends_all_of_a_run_and_nothing_else() -> None:
    mine = subprocess.Popen(["sh", "-c", "setsid sleep 61 & setsid sleep 62 & wait"])
    other = subprocess.Popen(["sleep", "63"])
    try:
        end = time.monotonic() + 10
        while len(descendants(mine.pid)) < 2 and time.monotonic() < end:
            time.sleep(0.01)
        assert {each.arguments[-1] for each in descendants(mine.pid)} == {"61", "62"}
        kill_all(lambda: descendants(mine.pid))
        assert descendants(mine.pid) == []
        assert mine.wait(10) == 0
        assert other.poll() is None
    finally:
        other.kill()
        other.wait()
        mine.wait()
