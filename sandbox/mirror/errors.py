"""The one error of this package."""

from __future__ import annotations


class MirrorError(Exception):
    """The mirror could not be made or served; the message says what, why and the cure in one line."""
