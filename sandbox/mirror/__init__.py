"""The Alpine mirror of the local cloud: the real CDN where it can be reached, else a signed fixture."""

from sandbox.mirror.cache import ensure, make_mirror
from sandbox.mirror.catalogue import DEFAULT_CATALOGUE, Branch, Catalogue, PointRelease
from sandbox.mirror.errors import MirrorError
from sandbox.mirror.server import Fault, MirrorServer, MirrorSettings, MirrorStatus, Source, serve

__all__ = [
    "DEFAULT_CATALOGUE",
    "Branch",
    "Catalogue",
    "Fault",
    "MirrorError",
    "MirrorServer",
    "MirrorSettings",
    "MirrorStatus",
    "PointRelease",
    "Source",
    "ensure",
    "make_mirror",
    "serve",
]
