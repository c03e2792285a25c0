"""The domain, a room for each part of it (docs/architecture.md). It never imports pulumi."""
