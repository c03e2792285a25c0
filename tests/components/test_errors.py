"""A program that ends early shows no traceback."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

TOP = Path(__file__).resolve().parents[2]
PROGRAM = """\
import os, signal
from components import clean_errors
with clean_errors():
    pass
os.kill(os.getpid(), signal.SIGINT)
signal.pause()
"""


def test_an_interrupt_ends_it_without_a_word_even_after_all_is_declared() -> None:
    """Pulumi's SDK still waits for resources then; the engine reports the interrupt."""
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM], cwd=TOP, capture_output=True, text=True, timeout=60, check=False
    )
    assert (done.returncode, done.stdout, done.stderr) == (-signal.SIGINT, "", "")
