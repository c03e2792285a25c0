"""Pinned tools (Pulumi, its `command` plugin, Packer, the OUTSCALE Packer plugin) and what puts them in place."""
