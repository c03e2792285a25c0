"""The Alpine mirror of the local cloud: the real CDN where it can be reached, else a signed fixture."""

from sandbox.mirror.cache import ensure, make_mirror
from sandbox.mirror.catalogue import DEFAULT_CATALOGUE, Catalogue, CatalogueBranch, PointRelease
from sandbox.mirror.errors import MirrorError
from sandbox.mirror.server import MirrorFault, MirrorServer, MirrorSettings, MirrorSource, MirrorStatus, serve

__all__ = [
    "DEFAULT_CATALOGUE",
    "Catalogue",
    "CatalogueBranch",
    "MirrorError",
    "MirrorFault",
    "MirrorServer",
    "MirrorSettings",
    "MirrorSource",
    "MirrorStatus",
    "PointRelease",
    "ensure",
    "make_mirror",
    "serve",
]
