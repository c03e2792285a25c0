"""Wrong options of the command line: one line that says what is allowed, and exit code 2."""

from __future__ import annotations

from pathlib import Path

import pytest

from sandbox.__main__ import main

WRONG = {
    "no command": ([], "COMMAND"),
    "unknown command": (["begin"], "invalid choice: 'begin'"),
    "low port": (["--base-port", "80", "status"], "'80' is not a whole number from 1024 to 65532"),
    "high port": (["--base-port", "65533", "status"], "'65533' is not a whole number from 1024 to 65532"),
    "port that is none": (["--base-port", "https", "status"], "'https' is not a whole number from 1024 to 65532"),
    "port of 5000 digits": (["--base-port", "1" * 5000, "status"], "is not a whole number from 1024 to 65532"),
    "step back": (["start", "--step", "-1"], "--step: '-1' is not a number from 0.0 to 3600.0"),
    "step that is none": (["start", "--step", "nan"], "--step: 'nan' is not a number"),
    "step without end": (["start", "--step", "inf"], "--step: 'inf' is not a number"),
    "no requests": (["start", "--requests-per-second", "0"], "'0' is not a number from 1.0 to"),
    "accounts below none": (["start", "--accounts", "-1"], "'-1' is not a whole number from 0 to 1000"),
    "unknown accelerator": (["start", "--accelerator", "fast"], "invalid choice: 'fast'"),
    "unknown mirror": (["start", "--mirror", "mine"], "invalid choice: 'mine'"),
    "port of no VM": (["launch", "ami-1", "--port", "0"], "--port: '0' is not a whole number from 1 to 65535"),
    "home of nobody": (["--home", "~nobody-here/x", "status"], "~nobody-here/x: "),
}


@pytest.mark.parametrize(("words", "said"), WRONG.values(), ids=WRONG.keys())
def test_a_wrong_option_is_one_line(
    words: list[str], said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("ALPINE_OMI_STATE", str(tmp_path))
    with pytest.raises(SystemExit) as ended:
        main(words)
    line = capsys.readouterr().err
    assert (ended.value.code, line.count("\n")) == (2, 1), line
    assert said in line
    assert line.startswith("sandbox: ")
