"""A stand-in for Pulumi's `command` plugin 1.2.1 where the genuine one can't be had.

It serves what this project uses of `command:local:Command`, and in that behaves as the genuine plugin does: the
conformance test in tests/toolchain drives both through real `pulumi up`. It runs from its own place in the cache, so
nothing here may import from outside this package but what Pulumi's Python SDK brings.
"""
