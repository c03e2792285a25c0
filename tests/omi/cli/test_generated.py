"""What is made from the models is committed as the models are now."""

from __future__ import annotations

from omi.cli.generated import generated
from tests.omi.conftest import TOP


def test_the_generated_files_are_current() -> None:
    assert {path: path.read_text() for path in generated(TOP)} == generated(TOP), "run `python -m omi.cli.generated`"
