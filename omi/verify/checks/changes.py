"""Files that differ from their package: `apk audit` finds them, and each must be on the list."""

from __future__ import annotations

from collections.abc import Iterator
from fnmatch import fnmatchcase

from omi.profile.model import profile_keys
from omi.support.errors import few
from omi.verify.facts import Expected, Facts

OURS: tuple[tuple[str, str], ...] = (
    ("boot/ldlinux.*", "the boot loader for BIOS: `extlinux --install /boot`"),
    ("boot/grub/*", "the menu for UEFI, by `grub-mkconfig`"),
    ("etc/alpine-omi-release", "the image: its profile, revision, package indexes"),
    ("etc/apk/arch", "apk's own"),
    ("etc/apk/world", "apk's own: the profile's `packages`"),
    ("etc/apk/keys/*.rsa.pub", "the profile's `keys`; others that alpine-keys brings are taken out"),
    ("etc/chrony/chrony.conf", "the profile's `ntp_servers`, and `makestep`, so that a clock that is hours off is set"),
    ("etc/cloud/cloud.cfg.d/90_outscale.cfg", "OUTSCALE's metadata service for cloud-init"),
    ("etc/conf.d/ntpd", "has ntpd read /etc/ntp.conf"),
    ("etc/conf.d/sshd", "one host key, of the type ed25519"),
    ("etc/default/grub", "no wait at the menu; the profile's `kernel_options` and `kernel_modules`"),
    ("etc/dhcpcd.conf", "appended: IPv4 only, no probe for duplicate addresses, no random delay, time servers"),
    ("etc/dhcpcd.exit-hook", "gives the interface the MTU of DHCP, which dhcpcd gives to its routes alone"),
    ("etc/doas.d/wheel.conf", "the group wheel becomes root; the profile's `privileges`"),
    ("etc/fstab", "the image's filesystems by UUID"),
    ("etc/group", "the user is in the group wheel"),
    ("etc/hostname", "the profile's, then the instance's"),
    ("etc/hosts", "the profile's host name, then the instance's"),
    ("etc/init.d/outscale-instance", "the provider's service: begins the set-up anew on another instance"),
    ("etc/inittab", "a login on the serial console, none on tty1 to tty6"),
    ("etc/mkinitfs/mkinitfs.conf", "the profile's `initfs_features`; with Alpine's defaults it is the package's"),
    ("etc/network/interfaces", "eth0 by DHCP, without a wait for the test of its IPv6 address"),
    ("etc/ntp.conf", "the profile's `ntp_servers`, else pool.ntp.org and DHCP's"),
    ("etc/passwd", "the user"),
    ("etc/profile.d/50-cloud-init-locale.sh", "cloud-init's, at the first boot: the locale C.UTF-8"),
    ("etc/rc.conf.d/omi.conf", "acpid, ntpd, chronyd and dmesg start after sshd (`rc_NAME_after`)"),
    ("etc/resolv.conf", "DHCP's name servers, at the first boot"),
    ("etc/shadow", "nobody has a password"),
    ("etc/ssh/ssh_host_*_key", "the instance's host key, at the first boot"),
    ("etc/ssh/ssh_host_*_key.pub", "the instance's host key, at the first boot"),
    ("etc/ssh/sshd_config", "an `Include` of sshd_config.d in front, where the package's has none"),
    ("etc/ssh/sshd_config.d/00-omi.conf", "keys only, root never"),
    ("etc/ssh/sshd_config.d/50-cloud-init.conf", "cloud-init's, at the first boot; 00-omi.conf goes before it"),
    ("etc/sudoers.d/wheel", "the group wheel becomes root; the profile's `privileges`"),
    ("etc/tiny-cloud.conf", "names the provider outscale and the user"),
    ("etc/udev/rules.d/70-persistent-net.rules", "cloud-init's, at the first boot: the network card's name"),
    ("etc/update-extlinux.conf", "root by UUID, serial console; the profile's `kernel_options` and `kernel_modules`"),
    ("lib/tiny-cloud/cloud/outscale/*", "tiny-cloud's provider for OUTSCALE"),
    ("usr/lib/tiny-cloud/cloud/outscale/*", "the same on a root whose /lib is merged into /usr"),
    *((path, f"the profile's `{key}`") for key, declared, _ in profile_keys() for path in declared.files),
)
"""Files that differ from their packages', as apk names them, and why."""
_SHOWN = 8


def image_files() -> str:
    """They as the table of docs/image-files.md (omi.cli.generated)."""
    rows = [f"| `/{path}` | {why} |" for path, why in OURS]
    return "\n".join(["| file | what differs, and why |", "|---|---|", *rows])


def changed_by_profile(finished: Facts) -> frozenset[str]:
    """Files that the packages' own scripts and the setup script changed, by the facts of the finished root."""
    return frozenset(path for who in ("packages", "setup") for path in finished.values.get(f"changed_by_{who}", ()))


def check_changes(facts: Facts, expected: Expected) -> Iterator[str]:
    """apk finds only changes by the profile, the guest scripts and the first boot."""
    changes = facts.values.get("change", ())
    wanted = {"backup"} if facts.is_booted else {"backup", "full"}
    if not changes or not wanted <= set(facts.values.get("audited", ())):
        yield "apk could not say what is not as its package brought it"
    # e: the user may not read it; root probed the finished root
    seen = [line for line in changes if not (line.startswith("e ") and facts.one("become") == "nobody")]
    strange = [line for line in seen if not _is_ours(line.partition(" ")[2], expected)]
    if strange:
        yield f"changed by neither the profile nor the guest scripts (apk audit): {few(strange, _SHOWN)}"


def _is_ours(path: str, expected: Expected) -> bool:
    return path in expected.changed or any(fnmatchcase(path, pattern) for pattern, _reason in OURS)
