"""The firmware that started the machine, and the disk layout that it needs."""

from __future__ import annotations

from collections.abc import Iterator

from omi.profile.model import Firmware
from omi.verify.facts import Expected, Facts

_MOUNTS: dict[Firmware, dict[str, str]] = {
    "bios": {"/": "ext4"},
    "uefi": {"/": "ext4", "/boot/efi": "vfat"},
    "hybrid": {"/": "ext4", "/boot/efi": "vfat"},
}


def check_firmware(facts: Facts, expected: Expected) -> Iterator[str]:
    """The VM was booted by the right firmware, from the right kind of disk, and every entry of /etc/fstab is
    mounted."""
    firmware = expected.build.firmware
    if facts.one("boot_mode") != expected.boot_mode:
        yield f"it was booted by {facts.one('boot_mode') or 'nobody knows what'} instead of {expected.boot_mode}"
    partitioned = "no" if firmware == "bios" else "yes"
    if facts.one("root_partition") != partitioned:
        yield f"the root filesystem lies {'on the disk itself' if partitioned == 'yes' else 'in a partition'}"
    mounts = {place: kind for place, _, kind in (line.partition(" ") for line in facts.values.get("fstab", ()))}
    for place, kind in _MOUNTS[firmware].items():
        if place not in mounts:
            yield f"/etc/fstab does not name {place}"
        elif mounts[place] != kind:
            yield f"{place} is {f'of type {mounts[place]}' if mounts[place] else 'not mounted'} instead of {kind}"
