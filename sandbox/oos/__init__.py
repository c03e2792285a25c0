"""The object store (OOS), S3's API by moto: signatures, rights, faults and the call log are the sandbox's own."""

from sandbox.oos.face import Oos
from sandbox.oos.store import Objects

__all__ = ["Objects", "Oos"]
