"""The probes themselves, on this machine: whole on its own root, and those at rest on a root of a few files."""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path

import pytest

from omi.profile.content import package_lines
from omi.profile.model import Target
from omi.verify.checks import failed_checks
from omi.verify.checks.services import check_services
from omi.verify.facts import Expected, Facts, probe_script, probe_script_at_rest

PROBES = Path(__file__).parents[3] / "omi/verify/probe"
BUILD = Target(profile="alpine", name="a", version="3.23")
CHANGED = frozenset({"etc/motd", "etc/own/a b", "bin/busybox", "lib/own/file"})
EXPECTED = Expected("3.23.6", BUILD, "alpine-3.23.6-x86_64-r0", 0, "sha256:0", changed=CHANGED)
INSTALLED = """\
P:busybox
F:
F:bin
R:busybox
a:0:0:755
R:bbsuid
a:0:0:4111
F:tmp
M:0:0:1777
F:etc
R:motd
"""
APK = """\
#!/bin/sh
case "$*" in
"add --simulate --no-network --repositories-file /dev/null") echo "OK: 8 MiB in 15 packages" ;;
"audit --recursive --backup") printf 'U etc/motd\\nd etc/own/\\nA etc/own/a b\\n' ;;
"audit --recursive --full") printf 'e proc/712\\nU bin/busybox\nA bin/[\nA bin/rev\nd lib/own/\nA lib/own/file\n' ;;
*) echo "ERROR: $*"; exit 1 ;;
esac
"""


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A clean root in which everything but the accounts' files and the world is a package's."""
    root = tmp_path / "root"
    put(root, "lib/apk/db/installed", INSTALLED)
    put(root, "etc/apk/world", "".join(f"{line}\n" for line in package_lines(BUILD)))
    put(root, "etc/passwd", "root:x:0:0:root:/root:/bin/sh\nalpine:x:1000:1000::/home/alpine:/bin/sh\n")
    put(root, "etc/shadow", "root:*::0:::::\nalpine:!:1:0:::::\n")
    put(root, "etc/motd", "hello")
    put(root, "bin/busybox", "b", 0o755)
    put(root, "bin/bbsuid", "b", 0o4111)
    for applet in ("[", "rev"):
        (root / "bin" / applet).symlink_to("/bin/busybox")
    put(root, "tmp/.keep", "")
    (root / "tmp").chmod(0o1777)
    put(tmp_path, "apk", APK, 0o755)
    return root


def test_packages_with_a_tag_can_be_told(root: Path) -> None:
    put(root, "etc/apk/repositories", "https://a.example/main\n@edge https://a.example/edge\n#@not https://a.example\n")
    asked = '[ -s "$TOP$9/x86_64/APKINDEX.tar.gz" ] && echo "OK: $8"'
    put(
        root.parent,
        "apk",
        f'#!/bin/sh\ncase "$*" in\n*--simulate*) set -- $*; {asked} ;;\naudit*) echo "U etc/motd" ;;\nesac\n',
        0o755,
    )
    facts = probe(root)
    assert facts.one("solved") == "yes"
    assert failed_checks(facts, EXPECTED) == []
    assert [path.name for path in (root / "tmp").iterdir()] == [".keep"], "nothing is left of it"


def put(root: Path, name: str, text: str, mode: int = 0o644) -> None:
    path = root / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    path.chmod(mode)


def probe(root: Path) -> Facts:
    done = subprocess.run(
        ["sh", "-s"],
        input=probe_script_at_rest(),
        env={**os.environ, "TOP": str(root), "APK": str(root.parent / "apk")},
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    return Facts.parse(done.stdout)


def test_a_clean_root_fails_nothing(root: Path) -> None:
    facts = probe(root)
    assert failed_checks(facts, EXPECTED) == []
    assert facts.values["change"] == ("U etc/motd", "A etc/own/a b", "U bin/busybox", "A lib/own/file")
    assert [line.rpartition(" ")[2] for line in facts.values["file"] if "/bin/" in line] == ["/bin/bbsuid"]


@pytest.mark.parametrize(
    ("name", "mode", "said"),
    [
        ("etc/ssh/ssh_host_rsa_key", 0o600, "it carries SSH host keys"),
        ("etc/dropbear/dropbear_ed25519_host_key", 0o600, "it carries SSH host keys"),
        ("etc/machine-id", 0o444, "it carries a machine-id"),
        ("var/lib/seedrng/seed.credit", 0o400, "it carries a random seed"),
        ("var/lib/misc/random-seed", 0o400, "it carries a random seed"),
        ("etc/resolv.conf", 0o644, "it carries name servers"),
        ("var/cache/apk/curl-8.17.0-r1.1a2b3c4d.apk", 0o644, "it carries apk's cache"),
        ("media/cache/APKINDEX.066df28d.tar.gz", 0o644, "it carries apk's cache"),
        ("root/.ash_history", 0o600, "it carries a shell's history"),
        ("home/alpine/.bash_history", 0o600, "it carries a shell's history"),
        ("root/.ssh/authorized_keys", 0o600, "it carries SSH keys"),
        ("root/.ssh/id_ed25519", 0o600, "it carries somebody's private key"),
        ("home/alpine/.osc/config.json", 0o600, "it carries somebody's private key or credentials"),
        ("var/lib/cloud/instance/user-data.txt", 0o600, "it carries data of the instance"),
        ("var/lib/dhcpcd/eth0.lease", 0o600, "it carries data of the instance"),
        ("srv/app/core.4711", 0o600, "it carries the memory of a program"),
        ("usr/local/bin/own tool", 0o4755, "setuid or setgid, but not by a package"),
        ("usr/local/bin/tool", 0o2755, "setuid or setgid, but not by a package"),
        ("bin/busybox", 0o4755, "setuid or setgid, but not by a package"),
        ("bin/busybox", 0o2755, "setuid or setgid, but not by a package"),
        ("etc/cron.conf", 0o666, "anyone may write to"),
        ("etc/motd", 0o666, "anyone may write to"),
        ("etc/motd", 0o642, "anyone may write to"),
        ("etc/motd", 0o643, "anyone may write to"),
        ("etc/motd", 0o647, "anyone may write to"),
    ],
)
def test_each_sin_is_named(root: Path, name: str, mode: int, said: str) -> None:
    put(root, name, "x", mode)
    (clause,) = failed_checks(probe(root), EXPECTED)
    assert clause.startswith(said)
    assert clause.endswith(f"/{name}")


def test_a_folder_that_anyone_may_write_is_named_unless_it_is_sticky(root: Path) -> None:
    (root / "srv").mkdir()
    (root / "srv").chmod(0o1777)
    assert failed_checks(probe(root), EXPECTED) == []
    (root / "srv").chmod(0o777)
    assert failed_checks(probe(root), EXPECTED) == ["anyone may write to: /srv"]


def test_long_logs_are_named(root: Path) -> None:
    put(root, "var/log/build/setup.log", "x" * (1 << 20))
    assert failed_checks(probe(root), EXPECTED) == []
    put(root, "var/log/messages", "x")
    (clause,) = failed_checks(probe(root), EXPECTED)
    assert clause.endswith("the largest is /var/log/build/setup.log")


@pytest.mark.parametrize(
    ("shadow", "said"),
    [
        ("alpine::1:0:::::", "the password of alpine is empty"),
        ("alpine:$6$s$hash:1:0:::::", "alpine has a password"),
        ("alpine:!$6$s$hash:1:0:::::", "alpine has a password"),
    ],
)
def test_passwords_are_told_by_kind_only(root: Path, shadow: str, said: str) -> None:
    put(root, "etc/shadow", f"root:*::0:::::\n{shadow}\n", 0o600)
    facts = probe(root)
    (clause,) = failed_checks(facts, EXPECTED)
    assert clause.startswith(said)
    assert "hash" not in str(facts)


def test_a_password_in_passwd_is_one_too(root: Path) -> None:
    put(root, "etc/passwd", "root:x:0:0:root:/root:/bin/sh\ntoor::0:0::/root:/bin/sh\n")
    assert failed_checks(probe(root), EXPECTED) == ["the password of toor is empty: anyone may log in"]


def test_who_may_log_in_is_told(root: Path) -> None:
    put(root, "home/alpine/.ssh/authorized_keys", "# comment\nssh-ed25519 AAAA me\n", 0o600)
    put(root, "root/.ssh/authorized_keys2", 'command="true" ssh-rsa BBBB\n', 0o600)
    assert probe(root).values["authorized_key"] == (
        "/home/alpine/.ssh/authorized_keys:ssh-ed25519 AAAA me",
        '/root/.ssh/authorized_keys2:command="true" ssh-rsa BBBB',
    )


@pytest.mark.parametrize(
    ("file", "text"),
    [
        ("etc/ntp.conf", "server 169.254.169.123\n"),
        ("etc/ntp.conf", "peer 169.254.169.123\n"),
        ("etc/ntpd.conf", "servers 169.254.169.123\n"),
        ("etc/chrony/chrony.conf", "pool 169.254.169.123 iburst\n"),
        ("etc/chrony/chrony.conf", "#pool a\nserver 169.254.169.123 prefer iburst\n"),
        ("etc/chrony/conf.d/own.conf", "initstepslew 10 169.254.169.123\n"),
        ("etc/conf.d/ntpd", '# -p none\nNTPD_OPTS="-N -p 169.254.169.123"\n'),
    ],
)
def test_the_clock_is_set_by_no_server_of_another_cloud(root: Path, file: str, text: str) -> None:
    put(root, file, text)
    facts = probe(root)
    assert facts.values["time_server"] == (f"169.254.169.123 /{file}",)
    assert failed_checks(facts, EXPECTED) == [f"/{file} sets the clock by 169.254.169.123, which only AWS has"]


def test_what_apk_would_purge_is_not_needed(root: Path) -> None:
    put(root.parent, "apk", APK.replace('"OK: 8', '"(1/1) Purging htop (3.4.1-r1)\nOK: 8'), 0o755)
    assert failed_checks(probe(root), EXPECTED) == [
        "the package htop is installed, but neither asked for nor needed",
    ]


def test_an_apk_that_fails_is_not_taken_for_a_clean_image(root: Path) -> None:
    put(root.parent, "apk", "#!/bin/sh\necho ERROR: broken; exit 1\n", 0o755)
    assert "apk can't work out which packages are needed: ERROR: broken" in failed_checks(probe(root), EXPECTED)


def test_all_probes_print_facts_on_any_linux(root: Path) -> None:
    done = subprocess.run(
        ["sh", "-s"],
        input=probe_script(),
        env={**os.environ, "TOP": str(root), "APK": str(root.parent / "apk")},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    facts = Facts.parse(done.stdout)
    assert facts.one("end") == "yes"
    assert facts.number("booted") > 0
    assert facts.one("kernel")


def test_no_two_probes_call_a_fact_alike() -> None:
    printed: dict[str, set[str]] = {}
    for path in PROBES.glob("*.sh"):
        code = "\n".join(line for line in path.read_text().splitlines() if not line.lstrip().startswith("#"))
        for key in re.findall(r'["/|]([a-z_]+)=', code):
            printed.setdefault(key, set()).add(path.name)
    assert len(printed) > 40
    assert {key: probes for key, probes in printed.items() if len(probes) > 1} == {}


def services(tmp_path: Path, *, ends: bool) -> Facts:
    """The probe of services while OpenRC starts `local`; `ends`: it is done a second later."""
    for name in ("softlevel", "rc.starting/x", "started/sshd", "starting/local"):
        put(tmp_path, f"rc/{name}", "default\n")
    done = f'rm -r "{tmp_path}/rc/rc.starting"; mv "{tmp_path}/rc/starting/local" "{tmp_path}/rc/started/"'
    put(tmp_path, "bin/sleep", f"#!/bin/sh\n{done if ends else ':'}\n", 0o755)
    found = subprocess.run(
        ["sh", "-c", f'. "{PROBES}/05-services.sh"; echo "state=$(ls "$RC/started" | tr "\\n" " ")"'],
        env={
            "PATH": f"{tmp_path}/bin:{os.environ['PATH']}",
            "RC": f"{tmp_path}/rc",
            "BECOME": "nobody",
            "SETTLE": "7",
        },
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    return Facts.parse(found.stdout)


def test_services_are_probed_once_openrc_has_started_all_of_them(tmp_path: Path) -> None:
    facts = services(tmp_path, ends=True)
    assert (facts.one("settled"), facts.one("state")) == ("yes", "local sshd")


def test_the_wait_for_services_has_a_limit(tmp_path: Path) -> None:
    facts = services(tmp_path, ends=False)
    assert facts.one("settled") == "no 7"
    failed = "OpenRC has not started the whole runlevel default after 7 s (cloud.limits.settle)"
    assert failed in check_services(facts, EXPECTED)


def test_all_is_probed_once_openrc_has_started_all_services() -> None:
    """SSH opens before that; the bootstrap's last phase is one of them."""
    begin, services, *others = sorted(path.name for path in PROBES.glob("*.sh"))
    assert (begin, services) == ("00-begin.sh", "05-services.sh")
    assert "45-bootstrap.sh" in others
