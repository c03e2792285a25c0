from __future__ import annotations

import subprocess

import pytest

from omi.profile.model import Build
from omi.verify.checks import failed_checks
from omi.verify.facts import Expected, Facts, look_script

SERVICES = {"boot": ("networking",), "default": ("sshd", "acpid"), "shutdown": ("killprocs",)}
BUILD = Build.model_validate({"profile": "alpine", "name": "v3_23-x86_64", "version": "3.23", "services": SERVICES})
DIGEST = f"sha256:{'0' * 64}"
EXPECTED = Expected("3.23.6", BUILD, "alpine-3.23.6-x86_64-r2", 2, DIGEST)
GOOD = f"""\
release=3.23.6
omi_release_mode=root 644
omi_release=NAME="alpine-3.23.6-x86_64-r2"
omi_release=PROFILE="alpine"
omi_release=BUILD="v3_23-x86_64"
omi_release=RELEASE="3.23.6"
omi_release=REVISION="r2"
omi_release=DIGEST="{DIGEST}"
omi_release=COMMIT="unknown"
omi_release=MIRROR="https://dl-cdn.alpinelinux.org/alpine"
omi_release=INDEX_1="sha256:{"a" * 64} https://dl-cdn.alpinelinux.org/alpine/v3.23/main/x86_64/APKINDEX.tar.gz"
omi_release=TOOLS="packer 1.16.0, apk-tools 3.0.8"
kernel=6.18.56-0-virt
kernel_modules=yes
user=alpine
service=boot networking started
service=default sshd started
service=default acpid started
root_device=/dev/vda
root_kib=1990000
disk_kib=2097152
booted=1000000
host_key=ssh_host_ed25519_key.pub 1000020
socket=tcp 00000000:0016 00000000:0000 0A
socket=tcp 0F00FEA9:0016 0200FEA9:D431 01
socket=tcp6 00000000000000000000000000000000:0016 00000000000000000000000000000000:0000 0A
socket=udp 0F00FEA9:0044 00000000:0000 07
socket=udp 0100007F:0143 00000000:0000 07
socket=udp6 00000000000000000000000001000000:0143 00000000000000000000000000000000:0000 07
socket=udp 0F00FEA9:A001 01020304:007B 01
end=yes
"""


def failures(text: str) -> list[str]:
    return failed_checks(Facts.parse(text), EXPECTED)


def test_a_good_image_fails_nothing() -> None:
    assert failures(GOOD) == []


@pytest.mark.parametrize(
    ("good", "bad", "said"),
    [
        ("release=3.23.6", "release=3.23.5", "/etc/alpine-release says '3.23.5' instead of '3.23.6'"),
        ("omi_release_mode=root 644", "omi_release_mode=", "/etc/alpine-omi-release is missing instead of"),
        ("omi_release_mode=root 644", "omi_release_mode=root 600", "/etc/alpine-omi-release is root 600 instead of"),
        ('NAME="alpine-3.23.6-x86_64-r2"', 'NAME="alpine-3.23.6-x86_64-r1"', "says NAME 'alpine-3.23.6-x86_64-r1'"),
        ('BUILD="v3_23-x86_64"', 'BUILD="v3_22-x86_64"', "says BUILD 'v3_22-x86_64' instead of 'v3_23-x86_64'"),
        ('REVISION="r2"', 'REVISION="r1"', "says REVISION 'r1' instead of 'r2'"),
        (f'DIGEST="{DIGEST}"', 'DIGEST="sha256:1"', "says DIGEST 'sha256:1' instead of"),
        ('omi_release=COMMIT="unknown"\n', "", "says no COMMIT"),
        ("omi_release=INDEX_1", "omi_release=OTHER", "does not name the package indexes"),
        ("/v3.23/main/x86_64/APKINDEX.tar.gz", "/v3.23/main", "does not name the package indexes"),
        ("kernel=6.18.56-0-virt", "kernel=6.18.56-0-lts", "not of the flavor virt"),
        ("kernel_modules=yes", "kernel_modules=no", "has no modules in the image"),
        ("user=alpine", "user=root", "the login is 'root'"),
        ("default acpid started", "default acpid failed", "service acpid (default) is failed"),
        ("service=default acpid started\n", "", "service acpid (default) is not in the runlevel"),
        ("end=yes", "crashed=acpid\nend=yes", "service acpid has crashed"),
        ("root_kib=1990000", "root_kib=998000", "it did not grow"),
        ("disk_kib=2097152", "disk_kib=", "is unknown"),
        ("pub 1000020", "pub 900000", "comes from the build"),
        ("host_key=ssh_host_ed25519_key.pub 1000020\n", "", "no SSH host key"),
        ("socket=udp 0F00FEA9:0044", "socket=udp 0F00FEA9:0035", "something listens on UDP port 53"),
        ("socket=udp6 00000000000000000000000001000000:0143", "socket=udp6 " + "0" * 32 + ":0143", "UDP port 323"),
        ("end=yes", "socket=tcp 0100007F:0019 00000000:0000 0A\nend=yes", "something listens on TCP port 25"),
        ("end=yes", "", "did not run to their end"),
    ],
)
def test_each_fault_is_named(good: str, bad: str, said: str) -> None:
    text = GOOD.replace(good, bad)
    assert text != GOOD
    found = failures(text)
    assert len(found) == 1
    assert said in found[0]


def test_the_looks_print_facts_on_any_linux() -> None:
    done = subprocess.run(["sh", "-s"], input=look_script(), capture_output=True, text=True, timeout=60, check=False)
    facts = Facts.parse(done.stdout)
    assert facts.one("end") == "yes"
    assert facts.number("booted") > 0
    assert facts.one("kernel")
