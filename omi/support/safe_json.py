"""Reads foreign JSON as plain values. It refuses text that would overrun the stack or can't be written again."""

from __future__ import annotations

from typing import Any

from pydantic_core import from_json


def read_json(text: str | bytes) -> Any:
    """Read the value. ValueError, with the reason in one line, also where Python's own reader accepts too much or
    crashes: endless nesting, NaN, numbers of thousands of digits, half a character (a lone surrogate).
    """
    try:
        return from_json(text, allow_inf_nan=False)
    except TypeError as error:  # the str is not valid Unicode
        message = "holds half a character (a lone surrogate)"
        raise ValueError(message) from error
