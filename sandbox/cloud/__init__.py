"""The state of the local OUTSCALE: resources, their rules and their changes over time. Both API faces use it."""
