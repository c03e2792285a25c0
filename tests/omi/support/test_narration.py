from __future__ import annotations

import io
from pathlib import Path

from omi.support.narration import LINES, Narrator


def test_what_goes_to_state_stays_small_and_the_log_has_it_all(tmp_path: Path) -> None:
    stream = io.StringIO()
    narrator = Narrator(stream, tmp_path / "build.log")
    for number in range(100):
        narrator.say(f"step {number} " + "x" * 300)
    lines = stream.getvalue().splitlines()
    assert len(lines) <= LINES
    assert max(map(len, lines)) < 200
    assert "more in" in lines[-1]
    assert "step 99" in (tmp_path / "build.log").read_text()


def test_a_reader_that_went_away_stops_nothing(tmp_path: Path) -> None:
    stream = io.StringIO()
    stream.close()
    Narrator(stream, tmp_path / "build.log").say("still building")
    assert "still building" in (tmp_path / "build.log").read_text()


def test_control_characters_do_not_reach_the_terminal(tmp_path: Path) -> None:
    stream = io.StringIO()
    Narrator(stream, tmp_path / "build.log").say("a\x1b[31mb\r\nc")
    assert stream.getvalue().count("\n") == 1
    assert "\x1b" not in stream.getvalue()
