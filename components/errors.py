"""The project's errors as Pulumi shows them: one line, no traceback."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import pulumi

from omi.errors import OmiError


@contextmanager
def clean_errors() -> Iterator[None]:
    """End the program with the error's line alone; the engine exits non-zero and changes nothing further."""
    try:
        yield
    except OmiError as error:
        raise pulumi.RunError(str(error)) from None
