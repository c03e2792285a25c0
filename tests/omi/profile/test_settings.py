"""The keys for a login's text, root rights, local time, time servers and kernel parameters."""

from __future__ import annotations

from pathlib import Path

import pytest

import omi.profile.forms
from omi.profile.load import load_profile
from omi.profile.model import Target
from omi.support.errors import ProfileError

ALL = """\
privileges: sudo
motd: |
  Built by us.
    ask: ops@example.org
timezone: America/Argentina/Buenos_Aires
ntp_servers: {ntp.example.org: true, 192.0.2.1: true, gone.example.org: false}
sysctl: {net.ipv4.ip_forward: 1, net.ipv4.tcp_rmem: 4096 131072 6291456, net.ipv4.conf.eth0/100.forwarding: "0"}
builds: {a: {version: "3.23"}}
"""


def load(root: Path, text: str) -> Target:
    (root / "web.yaml").write_text(text)
    (build,) = load_profile("web", root).builds
    return build


def test_the_keys_are_read(root: Path) -> None:
    build = load(root, ALL)
    assert build.privileges == "sudo"
    assert build.motd == "Built by us.\n  ask: ops@example.org\n"
    assert build.timezone == "America/Argentina/Buenos_Aires"
    assert build.ntp_servers == ("192.0.2.1", "ntp.example.org")
    assert build.sysctl == {
        "net.ipv4.conf.eth0/100.forwarding": "0",
        "net.ipv4.ip_forward": "1",
        "net.ipv4.tcp_rmem": "4096 131072 6291456",
    }


def test_a_later_layer_takes_them_back(root: Path) -> None:
    (root / "base/1.yaml").write_text(
        (root / "base/1.yaml").read_text() + ALL[: ALL.index("builds:")].partition("\n")[2]
    )
    nothing = "motd: null\ntimezone: null\nntp_servers: null\nsysctl: null\nprivileges: null\n"
    build = load(root, nothing + 'builds: {a: {version: "3.23"}}\n')
    assert (build.privileges, build.motd, build.timezone, build.ntp_servers, build.sysctl) == (
        "doas",
        None,
        None,
        (),
        {},
    )


def test_stored_settings_read_back(root: Path) -> None:
    whole = load(root, ALL)
    assert Target.model_validate_json(whole.model_dump_json()) == whole


ERRORS = {
    "another way": ("privileges: su", "privileges: su is not allowed; allowed: doas, sudo or none"),
    "empty text": ('motd: ""', "motd: '' is not allowed; allowed: text of one or more lines, at most 4000 characters"),
    "long text": (f"motd: {'x' * 4001}", "at most 4000 characters"),
    "control characters": ('motd: "a\\e[31mb"', "motd: "),
    "unknown zone": (
        "timezone: Europe/Pari",
        "allowed: a time zone of the IANA database, such as Europe/Paris; did you mean Europe/Paris?",
    ),
    "no zone at all": ("timezone: Xyzzy", "allowed: a time zone of the IANA database, such as Europe/Paris"),
    "zone by path": ("timezone: ../../etc/passwd", "timezone: ../../etc/passwd is not allowed"),
    "AWS's time": (
        "ntp_servers: {169.254.169.123: true}",
        "the key '169.254.169.123' is not allowed; allowed: a time server's name or address, and not 169.254.169.123",
    ),
    "server with options": ("ntp_servers: {ntp.example.org iburst: true}", "the key 'ntp.example.org iburst'"),
    "list of servers": ("ntp_servers: [ntp.example.org]", "allowed: a map of keys to values"),
    "parameter": ("sysctl: {forward: 1}", "the key 'forward' is not allowed; allowed: a kernel parameter as sysctl"),
    "switched on": ("sysctl: {net.ipv4.ip_forward: true}", "true is not allowed; allowed: a number, text on one line"),
    "two lines": ('sysctl: {kernel.core_pattern: "a\\nkernel.x = 1"}', "sysctl.kernel.core_pattern: "),
    "no service for parameters": (
        "services: {boot: {sysctl: false}}\nsysctl: {net.ipv4.ip_forward: 1}",
        "web.yaml:2: sysctl: is put into effect by the service sysctl, which is gone; add it to services.boot",
    ),
    "no service for the time": (
        "services: {default: {ntpd: null}}\nntp_servers: {ntp.example.org: true}",
        "web.yaml:2: ntp_servers: is put into effect by the service ntpd or chronyd, which is gone; add ntpd",
    ),
    "what is needed": ("packages: {doas: false}", "packages.doas: can't be taken away: the image needs it"),
}


@pytest.mark.parametrize(("text", "message"), ERRORS.values(), ids=ERRORS.keys())
def test_what_is_wrong_is_said_in_one_line(root: Path, text: str, message: str) -> None:
    with pytest.raises(ProfileError) as caught:
        load(root, text + '\nbuilds: {a: {version: "3.23"}}\n')
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_chrony_serves_as_well(root: Path) -> None:
    services = "services: {default: {ntpd: false, chronyd: true}}\n"
    assert load(root, services + ALL).ntp_servers == ("192.0.2.1", "ntp.example.org")


def test_a_machine_without_time_zones_leaves_them_to_the_build(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(omi.profile.forms, "available_timezones", set)
    assert load(root, 'timezone: Mars/Base\nbuilds: {a: {version: "3.23"}}').timezone == "Mars/Base"


ENTRIES = {
    "packages": ("curl: true", "curl", "packages"),
    "services.default": ("crond: true", "crond", "services"),
    "repos": ("https://example.org/alpine: own", "https://example.org/alpine", "repos"),
    "kernel_modules": ("loop: true", "loop", "kernel_modules"),
    "kernel_options": ("panic=10: true", "panic=10", "kernel_options"),
    "initfs_features": ("xfs: true", "xfs", "initfs_features"),
    "ntp_servers": ("ntp.example.org: true", "ntp.example.org", "ntp_servers"),
    "sysctl": ("vm.swappiness: 10", "vm.swappiness", "sysctl"),
    "setup_copy": ("a: web.yaml", "a", "setup_copy"),
    "tests": ("a: web.yaml", "a", "tests"),
    "keys": ("own.rsa.pub: true", "own.rsa.pub", "keys"),
}


def held(build: Target, field: str) -> object:
    return build.services["default"] if field == "services" else getattr(build, field)


@pytest.mark.parametrize("gone", ["null", "false"])
@pytest.mark.parametrize(("path", "entry"), ENTRIES.items(), ids=ENTRIES.keys())
def test_null_and_false_take_an_entry_of_any_map_away(
    root: Path, path: str, entry: tuple[str, str, str], gone: str
) -> None:
    said, name, field = entry
    (root / "keys/own.rsa.pub").write_bytes(next((root / "keys").glob("alpine-*.rsa.pub")).read_bytes())
    key, _, level = path.partition(".")

    def layer(text: str) -> str:
        return f"{key}: {{{level}: {{{text}}}}}" if level else f"{key}: {{{text}}}"

    kept = load(root, f'{layer(said)}\nbuilds: {{a: {{version: "3.23"}}}}\n')
    assert name in held(kept, field)  # type: ignore[operator]
    taken = load(root, f'{layer(said)}\nbuilds: {{a: {{version: "3.23", {layer(f"{name}: {gone}")}}}}}\n')
    assert name not in held(taken, field)  # type: ignore[operator]
    never = load(root, 'builds: {a: {version: "3.23"}}\n')
    assert taken == never
