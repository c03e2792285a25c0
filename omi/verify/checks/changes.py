"""What is not as its package brought it: `apk audit` finds it, and somebody must have had a reason."""

from __future__ import annotations

from collections.abc import Iterator
from fnmatch import fnmatchcase

from omi.verify.facts import Expected, Facts

OURS: tuple[tuple[str, str], ...] = (
    ("etc/alpine-omi-release", "what the image is, 85-release"),
    ("etc/apk/arch", "apk's own"),
    ("etc/apk/world", "apk's own"),
    ("etc/apk/keys/*.rsa.pub", "the profile's keys, 40-packages"),
    ("etc/apk/repositories", "the profile's repos, 40-packages"),
    ("etc/mkinitfs/init", "the initramfs's init, 40-packages"),
    ("etc/mkinitfs/features.d/cloud.*", "what the initramfs holds, 40-packages"),
    ("etc/mkinitfs/mkinitfs.conf", "the profile's initfs_features, 40-packages"),
    ("etc/update-extlinux.conf", "the profile's kernel_options and kernel_modules, 40-packages"),
    ("etc/default/grub", "the profile's kernel_options and kernel_modules, 55-uefi"),
    ("etc/fstab", "the root filesystem, 50-boot"),
    ("etc/inittab", "the serial console, 50-boot"),
    ("etc/hostname", "60-system, then the first boot"),
    ("etc/hosts", "60-system, then the first boot"),
    ("etc/network/interfaces", "the network by DHCP, 60-system"),
    ("etc/dhcpcd.conf", "the network by DHCP, 60-system"),
    ("etc/rc.conf.d/omi.conf", "the order of the services, 60-system"),
    ("etc/init.d/omi-drivers", "the drivers of disks and networks, 60-system"),
    ("etc/init.d/omi-drivers-late", "the drivers of all other devices, 60-system"),
    ("etc/modules", "the power button, 60-system"),
    ("etc/runlevels/*/*", "the profile's services, 60-system; omi.verify.checks.services compares them"),
    ("etc/motd", "the profile's motd, 62-settings"),
    ("etc/sysctl.d/90-omi.conf", "the profile's sysctl, 62-settings"),
    ("etc/localtime", "the profile's timezone, 62-settings"),
    ("etc/zoneinfo/*", "the profile's timezone, 62-settings"),
    ("etc/conf.d/ntpd", "the profile's ntp_servers, 64-time"),
    ("etc/ntp.conf", "the profile's ntp_servers, 64-time, or DHCP's at the first boot"),
    ("etc/chrony/chrony.conf", "the profile's ntp_servers, 64-time"),
    ("etc/passwd", "the user, 70-access"),
    ("etc/group", "the user, 70-access"),
    ("etc/shadow", "the user, 70-access"),
    ("etc/doas.d/wheel.conf", "who may become root, 70-access"),
    ("etc/sudoers.d/wheel", "who may become root, 70-access"),
    ("etc/ssh/sshd_config", "keys only, 70-access"),
    ("etc/ssh/sshd_config.d/00-omi.conf", "keys only, 70-access"),
    ("etc/conf.d/sshd", "one host key, 70-access"),
    ("etc/tiny-cloud.conf", "the bootstrap, 75-bootstrap"),
    ("etc/conf.d/tiny-cloud-early", "the bootstrap, 75-bootstrap"),
    ("lib/tiny-cloud/cloud/outscale/*", "the bootstrap's provider, 75-bootstrap"),
    ("usr/lib/tiny-cloud/cloud/outscale/*", "the bootstrap's provider, 75-bootstrap"),
    ("etc/cloud/cloud.cfg.d/90_outscale.cfg", "the bootstrap, 75-bootstrap"),
    ("etc/ssh/sshd_config.d/50-cloud-init.conf", "cloud-init at the first boot, outdone by 00-omi.conf"),
    ("etc/ssh/ssh_host_*_key", "the first boot; omi.verify.checks.files sees to its age"),
    ("etc/ssh/ssh_host_*_key.pub", "the first boot"),
    ("etc/resolv.conf", "the first boot, by DHCP; omi.verify.checks.files sees to its age"),
)
"""What guest/steps and the first boot change, as apk names it, and why."""
_SHOWN = 8


def changed_by_profile(finished: Facts) -> frozenset[str]:
    """What the build saw the packages' own scripts and the setup script change, of the facts of the finished root."""
    return frozenset(path for who in ("packages", "setup") for path in finished.values.get(f"changed_by_{who}", ()))


def check_changes(facts: Facts, expected: Expected) -> Iterator[str]:
    """apk finds changed only what the profile, the guest scripts and the first boot change."""
    changes = facts.values.get("change", ())
    if not changes:
        yield "apk could not say what is not as its package brought it"
    # e: the user may not read it; the finished root was looked at by root
    seen = [line for line in changes if not (line.startswith("e ") and facts.one("become") == "nobody")]
    strange = [line for line in seen if not _is_ours(line.partition(" ")[2], expected)]
    if strange:
        more = f" and {len(strange) - _SHOWN} more" if len(strange) > _SHOWN else ""
        yield f"changed by neither the profile nor the guest scripts (apk audit): {', '.join(strange[:_SHOWN])}{more}"


def _is_ours(path: str, expected: Expected) -> bool:
    return path in expected.changed or any(fnmatchcase(path, pattern) for pattern, _reason in OURS)
