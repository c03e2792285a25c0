"""Pulumi's generated messages without the SDK around them, which takes far longer to import than all the rest here."""

import importlib.util
import sys
from types import ModuleType

_AROUND = ("pulumi", "pulumi.runtime")
"""The packages above `pulumi.runtime.proto`; the messages need nothing of what these import."""


def leave_out_sdk() -> None:
    """Let `pulumi.runtime.proto` be found while its parents stay empty. For a process that needs no more of Pulumi."""
    for name in _AROUND:
        spec = importlib.util.find_spec(name)
        package = ModuleType(name)
        package.__path__ = list((spec and spec.submodule_search_locations) or ())
        sys.modules[name] = package
