"""The domain, a room for each part of it (docs/architecture.md). It never imports pulumi."""

__version__ = "1.0.0"
