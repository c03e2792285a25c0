"""What is hardly another than what passes, and the checks of a finished root before its first boot."""

from __future__ import annotations

from dataclasses import replace

import pytest

from omi.verify.checks import failed_checks
from omi.verify.facts import Facts, probe_script_at_rest
from tests.omi.verify.test_checks import BUILD, EXPECTED, GOOD, SERVICES, UDP, failures

OLD = "file=f 600 - 32 1000007 /var/lib/seedrng/seed.credit\n"
LIVE = ("service=", "socket=", "kernel", "settled=", "metadata_", "authorized_key=")
FIRST_BOOT = ("file=f 644 - 411", "file=f 644 - 60", OLD.strip(), "file=f 600 - 81")
AT_REST = "at_rest=yes\naudited=full\n" + "".join(
    f"{line}\n" for line in GOOD.splitlines() if not line.startswith((*LIVE, *FIRST_BOOT))
)
"""A finished root without what only a boot brings."""


def test_a_good_root_at_rest_fails_nothing() -> None:
    assert failures(AT_REST) == []


@pytest.mark.parametrize(
    ("good", "bad", "said"),
    [
        ("end=yes", f"{OLD}end=yes", "it carries a random seed"),
        ("f 4755 4755", "f 4755 755", "setuid or setgid, but not by a package"),
        ("password=alpine none", "password=alpine set", "alpine has a password"),
        ("world=openssh\n", "world=openssh\nworld=htop\n", "the package htop is not the profile's"),
        ("solved=yes", "solved=no", "apk can't work out which packages are needed"),
        ("U etc/issue", "U usr/sbin/sshd", "(apk audit): U usr/sbin/sshd"),
        ("audited=full\n", "", "apk could not say what is not as its package brought it"),
        ("audited=backup\n", "", "apk could not say what is not as its package brought it"),
        ("=pool.ntp.org /etc", "=169.254.169.123 /etc", "sets the clock by 169.254.169.123"),
    ],
)
def test_each_fault_of_a_root_at_rest_is_named(good: str, bad: str, said: str) -> None:
    assert good in AT_REST
    (clause,) = failures(AT_REST.replace(good, bad))
    assert said in clause


@pytest.mark.parametrize(
    ("good", "bad", "said"),
    [
        ("-0-virt", "-0-myvirt", "the kernel '6.18.56-0-myvirt' is not of the flavor virt"),
        ('omi_release=TOOLS="packer 1.16.0, apk-tools 3.0.8"\n', "", "says no TOOLS"),
        ("service=shutdown killprocs stopped\n", "", "service killprocs (shutdown) is not in the runlevel"),
        ("shutdown killprocs stopped", "shutdown killprocs started", "service killprocs (shutdown) is started"),
        ("password=alpine none", "password=alpine odd", "alpine has a password"),
        ("instance=i-12345678", "instance=", "tiny-cloud set up the instance '', and this is ''"),
        ("udp6 00000000000000000000000001000000", f"udp6 {'7F':0>32}", "something listens on 323/udp"),
    ],
)
def test_each_fault_of_a_booted_image_that_is_hardly_one_is_named(good: str, bad: str, said: str) -> None:
    assert good in GOOD
    (clause,) = failures(GOOD.replace(good, bad))
    assert said in clause


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("known_host_name=ip-10-0-0-5", "known_host_name=ip-10-0-0-5.eu-west-2.compute.internal"),
        ("tcp 0F00FEA9:0016 0200FEA9:D431 01", "tcp 0F00FEA9:A001 0200FEA9:01BB 01"),
    ],
)
def test_what_looks_like_a_fault_may_be_none(one: str, other: str) -> None:
    assert one in GOOD
    assert failures(GOOD.replace(one, other)) == []


@pytest.mark.parametrize(("changed", "new"), [(999880, True), (999879, False)])
def test_without_root_rights_the_boot_may_be_two_minutes_off(changed: int, *, new: bool) -> None:
    text = GOOD.replace("become=doas -n", "become=nobody").replace("mounted=1000004", "mounted=")
    assert (failures(text.replace("411 1000020", f"411 {changed}")) == []) is new


@pytest.mark.parametrize(
    "key", ["file=", "database=", "password=", "homes=", "world=", "change=", "time_server=", "end"]
)
def test_the_probes_of_a_root_at_rest_find_all_that_its_checks_need(key: str) -> None:
    assert key in probe_script_at_rest()


@pytest.mark.parametrize(
    ("port", "is_server"), [(67, True), (68, False), (69, True), (545, True), (546, False), (547, True)]
)
def test_of_low_ports_only_dhcps_own_are_no_servers(port: int, *, is_server: bool) -> None:
    assert bool(failures(UDP.format(port) + GOOD)) is is_server


@pytest.mark.parametrize(
    ("asked", "written"),
    [("a=1.2", "a~1.2"), ("a~1.2", "a=1.2"), ("a<9", "a<=9"), ("a<=9", "a<9"), ("a>9", "a>=9"), ("a>9", "a<9")],
)
def test_another_wanted_version_is_another_package(asked: str, written: str) -> None:
    expected = replace(EXPECTED, build=BUILD.model_copy(update={"packages": {"openssh": True, asked: True}}))
    text = GOOD.replace("end=yes", f"world={written}\napk_installed=a\nend=yes")
    assert failed_checks(Facts.parse(text), expected) == [
        f"the package {written} is not the profile's (/etc/apk/world): name it in packages",
        f"the package {asked} of the profile is not in /etc/apk/world",
    ]


def test_a_profile_that_names_no_time_servers_has_its_services_own() -> None:
    services = {**SERVICES, "default": (*SERVICES["default"], "ntpd")}
    expected = replace(EXPECTED, build=BUILD.model_copy(update={"services": services}))
    text = GOOD.replace("end=yes", "service=default ntpd started\nend=yes")
    assert failed_checks(Facts.parse(text), expected) == []
    without = text.replace("time_server=pool.ntp.org /etc/ntp.conf\n", "")
    assert failed_checks(Facts.parse(without), expected) == ["the clock is set by no server"]


def test_the_first_value_of_a_fact_counts_whatever_comes_later() -> None:
    assert Facts.parse("become=doas -n\nbecome=nobody").one("become") == "doas -n"
    assert failures(GOOD.replace("settled=yes", "settled=no\nsettled=yes")) != []


@pytest.mark.parametrize(("text", "number"), [("9" * 18, 10**18 - 1), ("9" * 19, 0), ("-1", 0), ("1.5", 0), ("", 0)])
def test_what_is_no_number_is_none(text: str, number: int) -> None:
    assert Facts.parse(f"size={text}").number("size") == number


SECRETS = {
    "/etc/ssh/ssh_host_rsa_key": "/etc/ssh/ssh_host_rsa_key.pub",
    "/srv/ssh_host__key": "/srv/my_ssh_host_rsa_key",
    "/etc/dropbear/dropbear_ed25519_host_key": "/etc/dropbear/dropbear.conf",
    "/etc/machine-id": "/etc/machine-id.d",
    "/var/lib/dbus/machine-id": "/var/lib/other/machine-id",
    "/var/lib/seedrng/seed.no-credit": "/var/lib/seedrng/README",
    "/var/lib/urandom/random-seed": "/var/lib/urandom/state",
    "/var/lib/misc/my-seed": "/var/lib/miscellany/seed",
    "/var/lib/systemd/random-seed": "/var/lib/systemd/catalog",
    "/var/lib/random-seed": "/var/lib/random-seeds",
    "/etc/random-seed": "/etc/random-seed.conf",
    "/etc/resolv.conf": "/etc/resolv-conf",
    "/var/cache/apk/any": "/var/cache/apks",
    "/etc/apk/cache/any": "/etc/apk/cached",
    "/srv/APKINDEX.066df28d.tar.gz": "/srv/APKINDEX.066df28g.tar.gz",
    "/srv/curl-8-r1.1a2b3c4d.apk": "/srv/curl-8-r1.apk",
    "/root/.ash_history": "/root/.ash-history",
    "/home/a/.python_history": "/home/a/python_history",
    "/root/.ssh/authorized_keys": "/root/.ssh/authorized_keys.old",
    "/root/.ssh/authorized_keys2": "/root/ssh/authorized_keys2",
    "/etc/ssh/authorized_keys/root": "/etc/ssh/authorized",
    "/root/.ssh/id_ed25519": "/root/.ssh/id_ed25519.pub",
    "/root/.ssh/id_ed25519_sk": "/root/.ssh/id_ed25519_sk.pub",
    "/root/.osc/config.json": "/root/osc/config.json",
    "/root/.aws/credentials": "/root/.aws/config",
    "/var/lib/cloud/any": "/var/lib/cloudy",
    "/var/lib/omi/any": "/var/lib/omit/any",
    "/var/lib/dhcpcd/eth0.lease": "/var/lib/dhcpcd.conf",
    "/var/lib/dhcp/any": "/var/lib/dhcp6/any",
    "/var/lib/dhclient/any": "/var/lib/dhclients/any",
    "/var/lib/udhcpc/any": "/var/lib/udhcpc.script",
    "/etc/udev/rules.d/70-persistent-net.rules": "/etc/udev/rules.d/70-persistent-net.rule",
    "/srv/core": "/srv/score",
    "/srv/core.1": "/srv/core.c",
}
"""A path that no image may carry, and one that is hardly another and may be there."""


@pytest.mark.parametrize(("secret", "other"), SECRETS.items(), ids=SECRETS.keys())
def test_each_pattern_finds_its_own_and_no_more(secret: str, other: str) -> None:
    old = "644 - 20578 999950 /var/cache/rc/deptree"
    (clause,) = failures(GOOD.replace(old, f"644 - 20578 999950 {secret}"))
    assert clause.startswith("it carries ")
    assert clause.endswith(f": {secret}")
    assert failures(GOOD.replace(old, f"644 - 20578 999950 {other}")) == []
    assert failures(GOOD.replace(old, f"644 - 0 999950 {secret}")) == [], "an empty one is none"
    assert failures(GOOD.replace(old, f"644 644 20578 999950 {secret}")) == [], "a package's is none"
