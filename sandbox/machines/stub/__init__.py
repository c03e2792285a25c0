"""Stub VMs: SSH servers in the sandbox's own process that answer what was recorded of real ones, at once.

They are for what is about the cloud and not about the image: faults, load, interruption. Nothing that a build does in
such a VM is real, so an image made by one proves nothing; every stub says so in its SSH greeting.
"""

from sandbox.machines.stub.machines import StubMachines
from sandbox.machines.stub.source import ensure_source

__all__ = ["StubMachines", "ensure_source"]
