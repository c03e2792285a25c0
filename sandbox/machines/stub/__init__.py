"""Stub VMs: SSH servers in the sandbox's own process that answer at once, from a recording of real ones.

They are for tests of the cloud and not of the image: faults, load, interruption. Nothing that a build does in such a VM
is real, so an image made by one proves nothing. A stub's SSH greeting shows what it is.
"""

from sandbox.machines.stub.machines import StubMachines
from sandbox.machines.stub.source import ensure_source

__all__ = ["StubMachines", "ensure_source"]
