"""The state of the local OUTSCALE: resources, their rules and how they change with time. Both API faces stand on it."""
