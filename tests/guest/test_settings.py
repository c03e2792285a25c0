"""A login's text, kernel parameters, the local time and time servers in the image's root."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from tests.guest.shell import run_functions, write_program

NOTHING = {
    "MOTD": "",
    "SYSCTL": "",
    "TIMEZONE": "",
    "NTP_SERVERS": "",
    "SERVICES_SYSINIT": "",
    "SERVICES_BOOT": "sysctl",
    "SERVICES_DEFAULT": "ntpd\nsshd",
}
CHRONY = "# Alpine's\npool pool.ntp.org iburst\ninitstepslew 10 pool.ntp.org\ndriftfile /var/lib/chrony/chrony.drift\n"
DHCPCD = "persistent\n"


@pytest.fixture
def root(tmp_path: Path) -> Path:
    folder = tmp_path / "root"
    for place in ("etc/conf.d", "etc/chrony", "usr/share"):
        (folder / place).mkdir(parents=True)
    (folder / "etc/motd").write_text("Welcome to Alpine!\n")
    (folder / "etc/dhcpcd.conf").write_text(DHCPCD)
    (folder / "etc/chrony/chrony.conf").write_text(CHRONY)
    (folder / "etc/conf.d/ntpd").write_text('NTPD_OPTS="-N -p pool.ntp.org"\n')
    return folder


def run(text: str, root: Path, **values: str) -> subprocess.CompletedProcess[str]:
    return run_functions(text, root.parent, **{"ROOT": str(root), **NOTHING, **values})


def test_nothing_said_leaves_alpines_own(root: Path) -> None:
    before = {path: path.read_bytes() for path in root.rglob("*") if path.is_file()}
    done = run("set_up_settings", root)
    assert done.returncode == 0, done.stderr
    assert {path: path.read_bytes() for path in root.rglob("*") if path.is_file()} == before


def test_text_and_parameters_are_written_as_they_are(root: Path) -> None:
    values = {
        "MOTD": "It's `ours`\n  $HOME",
        "SYSCTL": "net.ipv4.ip_forward = 1\nnet.ipv4.tcp_rmem = 4096 131072 6291456",
    }
    done = run("set_up_settings", root, **values)
    assert done.returncode == 0, done.stderr
    assert (root / "etc/motd").read_text() == values["MOTD"] + "\n"
    assert (root / "etc/sysctl.d/90-omi.conf").read_text() == values["SYSCTL"] + "\n"


def fake_apk(root: Path, zone: str, code: int = 0) -> dict[str, str]:
    """An apk that installs a tzdata with one zone, or fails."""
    place = f'"$3/usr/share/zoneinfo/{zone}"'  # apk add --root FOLDER ...
    write_program(
        root.parent, "apk", f'echo "$*" > asked; mkdir -p "$(dirname {place})"; echo zone > {place}; exit {code}'
    )
    return {"APK": str(root.parent / "bin/apk"), "KEYS": "/keys", "ARCH": "x86_64", "TIMEZONE": "Europe/Paris"}


def test_of_the_time_zones_the_one_that_is_used_is_put_in(root: Path) -> None:
    done = run("set_up_settings", root, **fake_apk(root, "Europe/Paris"))
    assert done.returncode == 0, done.stderr
    assert (root / "etc/localtime").readlink() == Path("/etc/zoneinfo/Europe/Paris")
    assert (root / "etc/zoneinfo/Europe/Paris").read_text() == "zone\n"
    assert not (root / "usr/share/zoneinfo").exists()
    assert "--keys-dir /keys" in (root.parent / "asked").read_text()
    assert "untrusted" not in (root.parent / "asked").read_text()


def test_where_tzdata_is_installed_its_updates_count(root: Path) -> None:
    (root / "usr/share/zoneinfo/Europe").mkdir(parents=True)
    (root / "usr/share/zoneinfo/Europe/Paris").touch()
    done = run("set_up_settings", root, **fake_apk(root, "Europe/Paris", code=1))
    assert done.returncode == 0, done.stderr
    assert (root / "etc/localtime").readlink() == Path("/usr/share/zoneinfo/Europe/Paris")
    assert not (root / "etc/zoneinfo").exists()


@pytest.mark.parametrize(
    ("zone", "code", "reason"),
    [
        ("Europe/Paris", 4, "the package tzdata can't be had for the time zone Europe/Paris"),
        ("Europe/Rome", 0, "tzdata knows no time zone Europe/Paris"),
    ],
)
def test_a_zone_that_can_not_be_had_is_named(root: Path, zone: str, code: int, reason: str) -> None:
    done = run("set_up_settings", root, **fake_apk(root, zone, code))
    assert done.returncode == 1
    assert f"guest: ERROR: {reason} (" in done.stderr


def test_by_default_the_time_comes_from_dhcps_servers_and_the_pool(root: Path) -> None:
    done = run("set_up_time", root)
    assert done.returncode == 0, done.stderr
    assert (root / "etc/ntp.conf").read_text() == "server pool.ntp.org\n"
    assert (root / "etc/conf.d/ntpd").read_text() == 'NTPD_OPTS="-N"\n'
    assert (root / "etc/dhcpcd.conf").read_text() == DHCPCD


def test_named_servers_are_the_only_ones(root: Path) -> None:
    done = run("set_up_time", root, NTP_SERVERS="192.0.2.1\nntp.example.org")
    assert done.returncode == 0, done.stderr
    assert (root / "etc/ntp.conf").read_text() == "server 192.0.2.1\nserver ntp.example.org\n"
    assert "\nnohook ntp.conf\n" in (root / "etc/dhcpcd.conf").read_text()


def test_chrony_keeps_what_else_its_configuration_says(root: Path) -> None:
    assert run("set_up_time", root, SERVICES_DEFAULT="chronyd").returncode == 0
    assert (root / "etc/chrony/chrony.conf").read_text() == CHRONY
    done = run("set_up_time", root, SERVICES_DEFAULT="chronyd", NTP_SERVERS="ntp.example.org")
    assert done.returncode == 0, done.stderr
    assert (root / "etc/chrony/chrony.conf").read_text() == (
        "# Alpine's\ndriftfile /var/lib/chrony/chrony.drift\nserver ntp.example.org iburst\n\nmakestep 1.0 3\n"
    )
    assert not (root / "etc/ntp.conf").exists()
    assert "\nnohook ntp.conf\n" in (root / "etc/dhcpcd.conf").read_text()


@pytest.mark.parametrize(
    ("config", "folder", "added"),
    [
        ("pool pool.ntp.org iburst\n", "", True),
        ("pool pool.ntp.org iburst\n# makestep 1 3\n", "", True),
        ("pool pool.ntp.org iburst\nmakestep 0.1 -1\n", "", False),
        ("initstepslew 10 pool.ntp.org\n", "", False),
        ("confdir /etc/chrony/conf.d\n", "makestep 2.0 1\n", False),
    ],
)
def test_chrony_may_set_a_wrong_clock_at_once(root: Path, config: str, folder: str, *, added: bool) -> None:
    (root / "etc/chrony/chrony.conf").write_text(config)
    (root / "etc/chrony/conf.d").mkdir()
    (root / "etc/chrony/conf.d/step.conf").write_text(folder)
    done = run("set_up_time; finish_time", root, SERVICES_DEFAULT="chronyd")
    assert done.returncode == 0, done.stderr
    assert (root / "etc/chrony/chrony.conf").read_text() == config + ("\nmakestep 1.0 3\n" if added else "")


def test_chrony_that_the_setup_script_brings_is_set_up_after_it(root: Path) -> None:
    config = root / "etc/chrony/chrony.conf"
    config.unlink()
    values = {"SERVICES_DEFAULT": "chronyd", "NTP_SERVERS": "ntp.example.org", "SETUP_SCRIPT": "setup_script"}
    brought = f"printf 'pool pool.ntp.org iburst\\ninitstepslew 10 pool.ntp.org\\n' > {config}"
    done = run(f"set_up_time; {brought}; finish_time", root, **values)
    assert done.returncode == 0, done.stderr
    assert config.read_text() == "server ntp.example.org iburst\n\nmakestep 1.0 3\n"
    config.unlink()
    assert "chrony.conf is missing for the service chronyd (" in run("set_up_time; finish_time", root, **values).stderr


def test_what_the_setup_script_makes_of_chrony_stays(root: Path) -> None:
    config = root / "etc/chrony/chrony.conf"
    values = {"SERVICES_DEFAULT": "chronyd", "NTP_SERVERS": "ntp.example.org", "SETUP_SCRIPT": "setup_script"}
    done = run(f"set_up_time; echo 'server 192.0.2.1' >> {config}; finish_time", root, **values)
    assert done.returncode == 0, done.stderr
    assert config.read_text().endswith("server ntp.example.org iburst\n\nmakestep 1.0 3\nserver 192.0.2.1\n")


def test_without_a_time_service_nothing_is_written(root: Path) -> None:
    assert run("set_up_time", root, SERVICES_DEFAULT="sshd").returncode == 0
    assert not (root / "etc/ntp.conf").exists()


def test_chrony_without_its_package_is_named(root: Path) -> None:
    (root / "etc/chrony/chrony.conf").unlink()
    done = run("set_up_time", root, SERVICES_DEFAULT="chronyd")
    assert done.returncode == 1
    assert "guest: ERROR: /etc/chrony/chrony.conf is missing for the service chronyd (" in done.stderr
