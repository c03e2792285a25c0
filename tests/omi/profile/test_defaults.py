"""docs/defaults.md says what the profile `alpine` and the guest's scripts do by default."""

from __future__ import annotations

import re

from omi.profile.discover import expand_discovered
from omi.profile.load import load_profile
from omi.profile.resolve import TIME_SERVICES
from omi.verify.checks.changes import OURS
from tests.omi.conftest import TOP

GUEST = TOP / "guest"
MKINITFS = "ata base cdrom ext4 keymap kms mmc nvme raid scsi usb virtio"
"""The features of mkinitfs's own configuration."""
TIME = {"ntpd": "busybox's ntpd", "chronyd": "chrony"}


def rows() -> list[list[str]]:
    """The cells of each row."""
    lines = (TOP / "docs/defaults.md").read_text(encoding="utf-8").splitlines()
    return [re.split(r" *\| *", line.strip("| ")) for line in lines if line.startswith("| ")][1:]


def said(path: str, pattern: str) -> str:
    """All that the pattern's groups find in a file of the guest, in order."""
    return ", ".join(sorted(re.findall(pattern, (GUEST / path).read_text(encoding="utf-8"), re.MULTILINE)))


def here() -> dict[str, str]:
    """What the profile and the scripts say, row by row."""
    profile = expand_discovered(load_profile("alpine", TOP / "profiles"), ["3.23"])
    discover, build = profile.discover, next(build for build in profile.builds if build.version == "3.23")
    level_of = {service: level for level, services in build.services.items() for service in services}
    consoles = [
        option.removeprefix("console=").partition(",")[0] for option in build.kernel_options if "=tty" in option
    ]
    (uuid,) = {said("steps/40-packages.sh", r"^root=(\w+)=\$"), said("steps/50-boot.sh", r"printf '(\w+)=%s\\t/\\t")}
    ip = said("files/dhcpcd.conf", "^(ipv[46])only$") + " only"
    changed = {path for path, _ in OURS if "cloud-init" not in path}
    (scheme,) = {url.partition(":")[0] for url in build.repos}
    has = set(build.packages)
    assert discover is not None
    return {
        "builds": f"each {discover.versions} branch{' and edge' if discover.edge else ''}, by `discover`",
        "becoming root": build.privileges,
        "time": " and ".join(TIME[name] for name in TIME_SERVICES if name in level_of),
        "time zones": f"{build.timezone or 'UTC'}, {'with' if 'tzdata' in has else 'without'} tzdata",
        "volume": f"{build.volume_size} GiB",
        "set-up": build.bootstrap,
        "DHCP": f"{'dhcpcd' if 'dhcpcd' in has else 'udhcpc'}, {ip.replace('ip', 'IP')}",
        "networking starts": f"in the runlevel {level_of['networking']}",
        "`ip`": "iproute2" if {"iproute2", "iproute2-minimal"} & has else "busybox's",
        "NVMe": f"{'with' if 'nvme-cli' in has else 'without'} nvme-cli",
        "features of the initramfs": "mkinitfs's own" if " ".join(build.initfs_features) == MKINITFS else "others",
        "drivers at boot": ", ".join(build.kernel_modules),
        "firmware": build.firmware.upper(),
        "root filesystem": f"by {uuid}",
        "kernel's console": ", ".join(consoles),
        "login on a console": said("steps/50-boot.sh", r"^\techo '(\w+)::respawn:/sbin/getty "),
        "boot menu": f"`{said('steps/40-packages.sh', '^(timeout=.*)$')}` (BIOS), "
        f"`{said('steps/55-uefi.sh', '^(GRUB_TIMEOUT=.*)$')}` (UEFI)",
        "started once SSH is open": said("files/openrc.sh", r'^rc_(\w+)_after="sshd"$'),
        "host keys": said("steps/70-user-and-ssh.sh", "'key_types_to_generate=\"(.*)\"'"),
        "repositories": f"{' and '.join(sorted(url.rpartition('/')[2] for url in build.repos))} by {scheme}",
        "message at login": "of the profile" if build.motd else "Alpine's own",
        "prompt": "with another" if any(path.startswith("etc/profile") for path in changed) else "Alpine's own",
        "name": f"`{build.image_name(str(build.recorded_release), 0)}`",
        "who may launch it": "the account" if not build.access.public and not build.access.accounts else "others",
    }


def test_the_column_here_is_what_the_code_does() -> None:
    assert {row[0]: row[1] for row in rows()} == here()


def test_every_cell_says_something() -> None:
    for row in rows():
        assert len(row) == 5
        assert all(cell and "?" not in cell for cell in row), row
        assert row[1] not in row[2:4] or row[2] != row[3], f"{row[0]} is the same in all three"
