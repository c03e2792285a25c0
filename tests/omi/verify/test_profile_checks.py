"""Each key's effect in a booted image: what is as the profile says passes, and each fault is named."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from omi.profile.load import load_profile
from omi.profile.model import profile_keys
from omi.verify.checks.apk import check_apk
from omi.verify.checks.kernel import check_kernel
from omi.verify.checks.packages import check_packages
from omi.verify.checks.settings import check_settings, motd_digest
from omi.verify.checks.time import check_time
from omi.verify.checks.user import check_user
from omi.verify.facts import Expected, Facts

PROFILES = Path(__file__).parents[3] / "profiles"
(BUILD,) = load_profile("test", PROFILES).builds
KEYS = {name: hashlib.sha256(text.encode()).hexdigest() for name, text in BUILD.keys.items()}
OLD_KEY = "alpine-devel@lists.alpinelinux.org-4a6a0840.rsa.pub"
CHECKS = (check_user, check_settings, check_time, check_apk, check_packages, check_kernel)

WORLD = (
    "alpine-base",
    "ca-certificates-bundle@edge",
    "curl>8",
    "dhcpcd",
    "e2fsprogs",
    "e2fsprogs-extra",
    "grub-efi",
    "linux-virt",
    "openrc",
    "openssh",
    "partx",
    "sfdisk",
    "sudo",
    "tiny-cloud",
    "tiny-cloud-openrc",
)
REPOSITORIES = (
    "apk_repository=@edge https://dl-cdn.alpinelinux.org/alpine/edge/main",
    "apk_repository=#https://dl-cdn.alpinelinux.org/alpine/edge/testing",
    "apk_repository=https://dl-cdn.alpinelinux.org/alpine/v3.23/main",
)
COMMAND_LINE = (
    "root=UUID=x modules=ext4,loop,sd-mod,virtio_blk console=tty0 console=ttyS0,115200n8 panic=10 rootfstype=ext4"
)
GOOD = "\n".join(
    [
        "become=sudo -n",
        "groups=tester wheel",
        "becomes_root=sudo",
        f"motd_digest={hashlib.sha256((BUILD.motd or '').encode()).hexdigest()}",
        *(f"setting={name} {getattr(BUILD, name)}" for name, key, _ in profile_keys() if key.seen),
        "local_clock=1700000000 +0100",
        "sysctl=net.ipv4.ip_forward 1",
        "sysctl=net.ipv4.tcp_rmem 4096\t131072\t6291456",
        "time_server=0.pool.ntp.org /etc/ntp.conf",
        *REPOSITORIES,
        *(f"apk_key={name} {digest}" for name, digest in KEYS.items()),
        *(f"world={line}" for line in WORLD),
        *(f"apk_installed={line.split('@')[0].split('>')[0]}" for line in WORLD),
        "apk_installed=musl",
        "solved=yes",
        f"kernel_command_line={COMMAND_LINE}",
        f"initfs_features={' '.join(BUILD.initfs_features)}",
        "",
    ]
)


def failures(text: str, **changes: object) -> list[str]:
    expected = Expected("3.23.6", BUILD.model_copy(update=changes), "any", 0, "sha256:")
    return [clause for check in CHECKS for clause in check(Facts.parse(text), expected)]


def test_an_image_that_is_as_its_profile_says_fails_nothing() -> None:
    assert failures(GOOD) == []


FAULTS = {
    "no root rights": ("becomes_root=sudo\n", "", "can't become root by sudo without a password"),
    "root rights by another": ("becomes_root=sudo", "becomes_root=sudo\nbecomes_root=doas", "becomes root by doas"),
    "not in wheel": ("groups=tester wheel", "groups=tester", "not in the group wheel"),
    "another text": ("motd_digest=", "motd_digest=0", "/etc/motd is not the profile's"),
    "another zone": (
        "timezone Europe/Paris",
        "timezone Europe/Rome",
        "timezone is 'Europe/Rome' instead of 'Europe/Paris'",
    ),
    "no zone's file": (
        "local_clock=1700000000 +0100",
        "local_clock=1700000000 +0000",
        "the local time is +0000 from UTC instead",
    ),
    "no clock": ("local_clock=1700000000 +0100", "local_clock=", "the clock '' is not understood"),
    "a parameter not set": ("ip_forward 1", "ip_forward 0", "sysctl net.ipv4.ip_forward is '0' instead of '1'"),
    "a parameter unknown": ("sysctl=net.ipv4.ip_forward 1\n", "", "sysctl net.ipv4.ip_forward is '' instead of '1'"),
    "a repository more": ("apk_repository=#", "apk_repository=", "/etc/apk/repositories says"),
    "repositories in another order": (
        f"{REPOSITORIES[1]}\n{REPOSITORIES[2]}",
        f"{REPOSITORIES[2]}\n{REPOSITORIES[1]}",
        "/etc/apk/repositories says",
    ),
    "another key": (next(iter(KEYS.values())), "0" * 64, "in /etc/apk/keys is another"),
    "a key that was taken out": (
        "world=curl>8",
        f"world=curl>8\napk_key={OLD_KEY} 0",
        f"the key {OLD_KEY} is in /etc/apk/keys, but not in the profile",
    ),
    "without its tag": (
        "bundle@edge",
        "bundle",
        "the package ca-certificates-bundle@edge of the profile is not in /etc/apk/world",
    ),
    "not installed": ("apk_installed=curl\n", "", "the package curl is not installed"),
    "an option": (" panic=10", "", "the kernel was started without panic=10"),
    "a module": (",loop,", ",", "the kernel module loop is not loaded before the root is mounted"),
    "an option that is longer": (" panic=10", " panic=100", "the kernel was started without panic=10"),
    "a module whose name is longer": (",loop,", ",loopy,", "the kernel module loop is not loaded"),
    "a feature": (" nvme", "", "mkinitfs has the features"),
    "a feature more": (" nvme", " nvme xfs", "mkinitfs has the features"),
    "AWS's time": (
        "time_server=0.pool.ntp.org /etc/ntp.conf",
        "time_server=0.pool.ntp.org /etc/ntp.conf\ntime_server=169.254.169.123 /etc/ntp.conf",
        "only AWS has",
    ),
}


@pytest.mark.parametrize(("good", "bad", "said"), FAULTS.values(), ids=FAULTS.keys())
def test_each_fault_is_named(good: str, bad: str, said: str) -> None:
    text = GOOD.replace(good, bad, 1)
    assert text != GOOD
    assert [clause for clause in failures(text) if said in clause]


@pytest.mark.parametrize(("offset", "is_right"), [("+0530", True), ("+0500", False), ("-0530", False)])
def test_a_time_zone_may_be_off_by_half_an_hour(offset: str, *, is_right: bool) -> None:
    text = GOOD.replace("Europe/Paris", "Asia/Kolkata").replace("+0100", offset)
    said = [] if is_right else [f"the local time is {offset} from UTC instead of +0530 (Asia/Kolkata)"]
    assert failures(text, timezone="Asia/Kolkata") == said


def test_a_missing_key_is_named() -> None:
    name, digest = next(iter(KEYS.items()))
    (clause,) = failures(GOOD.replace(f"apk_key={name} {digest}\n", ""))
    assert clause == f"the key {name} in /etc/apk/keys is missing"


def test_time_servers_are_the_profiles_or_dhcps() -> None:
    none = GOOD.replace("time_server=0.pool.ntp.org /etc/ntp.conf\n", "")
    assert failures(none) == [
        "the clock is not set by 0.pool.ntp.org, which is among the profile's ntp_servers",
        "the clock is set by no server",
    ]
    assert failures(none, ntp_servers=()) == ["the clock is set by no server"]
    assert failures(none, ntp_servers=(), services={"default": ("sshd",)}) == []


def test_nobody_becomes_root_where_the_profile_says_so() -> None:
    said = failures(GOOD, privileges="none")
    assert said[0] == "the user becomes root by sudo, though privileges says none"
    assert said[1] == "the user is in the group wheel, though privileges says none"
    without = GOOD.replace("becomes_root=sudo\n", "").replace("groups=tester wheel", "groups=tester")
    assert not [clause for clause in failures(without, privileges="none") if "the user" in clause]


def test_the_texts_digest_is_that_of_the_file_that_the_guest_writes() -> None:
    assert motd_digest("a") == motd_digest("a\n") == hashlib.sha256(b"a\n").hexdigest()
