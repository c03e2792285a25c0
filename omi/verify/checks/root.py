"""The root filesystem."""

from __future__ import annotations

from collections.abc import Iterator

from omi.verify.facts import Expected, Facts

_GROWN = 0.9


def check_root(facts: Facts, _expected: Expected) -> Iterator[str]:
    """The root filesystem fills the disk, which is larger than the image."""
    filesystem, disk = facts.number("root_kib"), facts.number("disk_kib")
    if not disk:
        yield f"the disk of the root filesystem ({facts.one('root_device')!r}) is unknown"
    elif filesystem < _GROWN * disk:
        yield f"the root filesystem has {filesystem >> 10} MiB of a disk of {disk >> 10} MiB: it did not grow"
