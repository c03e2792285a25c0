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
