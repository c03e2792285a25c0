from __future__ import annotations

from dataclasses import replace

import pytest

from omi.verify.checks import failed_checks
from omi.verify.facts import Facts
from tests.omi.verify.test_checks import BUILD, EXPECTED, GOOD


@pytest.mark.parametrize("firmware", ["uefi", "hybrid"])
@pytest.mark.parametrize(
    ("good", "bad", "said"),
    [
        ("", "", None),
        ("root_partition=yes", "root_partition=no", "the root filesystem lies on the disk itself"),
        ("/boot/efi vfat", "/boot/efi ", "/boot/efi is not mounted instead of vfat"),
        ("fstab=/boot/efi vfat\n", "", "/etc/fstab does not name /boot/efi"),
        ("boot_mode=uefi", "boot_mode=legacy", "it was booted by legacy instead of uefi"),
    ],
)
def test_a_disk_for_uefi_has_partitions_and_mounts_the_one_with_the_loader(
    firmware: str, good: str, bad: str, said: str | None
) -> None:
    uefi = GOOD.replace("boot_mode=legacy", "boot_mode=uefi").replace("root_partition=no", "root_partition=yes")
    loaders = {"uefi": "world=grub-efi\n", "hybrid": "world=grub-efi\nworld=syslinux\n"}[firmware]
    uefi = uefi.replace("world=syslinux\n", f"{loaders}world=partx\nworld=sfdisk\n")
    text = uefi.replace("fstab=/ ext4\n", "fstab=/ ext4\nfstab=/boot/efi vfat\n")
    expected = replace(EXPECTED, build=BUILD.model_copy(update={"firmware": firmware}), boot_mode="uefi")
    assert failed_checks(Facts.parse(text.replace(good, bad) if good else text), expected) == ([said] if said else [])
