"""Foreign JSON as plain values; what would overrun the stack or can't be written again is not JSON here."""

from __future__ import annotations

from typing import Any

from pydantic_core import from_json


def read_json(text: str | bytes) -> Any:
    """The value. ValueError, with the reason in one line, also for what Python's own reader lets through or trips over:
    nesting without end, NaN, numbers of thousands of digits, half a character (a lone surrogate).
    """
    try:
        return from_json(text, allow_inf_nan=False)
    except TypeError as error:  # a str that is not Unicode
        message = "holds half a character (a lone surrogate)"
        raise ValueError(message) from error
