from __future__ import annotations

import re
from dataclasses import replace

import pytest

from omi.profile.model import Target
from omi.verify.checks import failed_checks
from omi.verify.checks.changes import changed_by_profile, image_files
from omi.verify.facts import Expected, Facts

KEY = "ssh-ed25519 AAAAC3Nz"
SERVICES = {"boot": ("networking",), "default": ("sshd", "acpid"), "shutdown": ("killprocs",)}
BUILD = Target.model_validate(
    {
        "profile": "alpine",
        "name": "v3_23-x86_64",
        "version": "3.23",
        "services": SERVICES,
        "packages": {"openssh": True},
    }
)
DIGEST = f"sha256:{'0' * 64}"
EXPECTED = Expected("3.23.6", BUILD, "alpine-3.23.6-x86_64-r2", 2, DIGEST, KEY, changed=frozenset({"etc/issue"}))
GOOD = f"""\
become=doas -n
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
settled=yes
crashes_seen=yes
service=boot networking started
service=default sshd started
service=default acpid started
service=boot tiny-cloud-boot started
service=shutdown killprocs stopped
root_device=/dev/vda
root_kib=1990000
disk_kib=2097152
kernel_command_line=root=UUID=x
boot_mode=legacy
root_partition=no
fstab=/ ext4
booted=1000000
mounted=1000004
host_key=ssh_host_ed25519_key.pub
bootstrap=tiny-cloud
bootstrap_status=complete
known_instance=i-12345678
metadata_instance=i-12345678
known_host_name=ip-10-0-0-5
metadata_host_name=ip-10-0-0-5.eu-west-2.compute.internal
key_taken=yes
socket=tcp 00000000:0016 00000000:0000 0A
socket=tcp 0F00FEA9:0016 0200FEA9:D431 01
socket=tcp6 00000000000000000000000000000000:0016 00000000000000000000000000000000:0000 0A
socket=udp 0F00FEA9:0044 00000000:0000 07
socket=udp 0100007F:0143 00000000:0000 07
socket=udp6 00000000000000000000000001000000:0143 00000000000000000000000000000000:0000 07
socket=udp 0F00FEA9:A001 01020304:007B 01
database=999960
file=f 644 - 411 1000020 /etc/ssh/ssh_host_ed25519_key
file=f 644 - 0 999950 /etc/machine-id
file=f 644 - 60 1000009 /etc/resolv.conf
file=f 600 - 32 1000007 /var/lib/seedrng/seed.credit
file=f 600 - 81 1000021 /home/alpine/.ssh/authorized_keys
file=f 640 - 70000 1000040 /var/log/messages
file=f 644 - 20578 999950 /var/cache/rc/deptree
file=f 4755 4755 199632 999940 /usr/bin/doas
file=o 666 - 0 1000009 /tmp/a socket
password=root none
password=alpine none
authorized_key=/home/alpine/.ssh/authorized_keys:{KEY} verify
homes=2
world=alpine-base
world=doas
world=e2fsprogs-extra
world=linux-virt
world=openssh
world=syslinux
world=tiny-cloud
world=tiny-cloud-openrc
solved=yes
audited=backup
change=A etc/apk/keys/alpine-devel@lists.alpinelinux.org-6165ee59.rsa.pub
change=U etc/passwd
change=A etc/runlevels/default/acpid
change=U etc/issue
time_server=pool.ntp.org /etc/ntp.conf
groups=alpine wheel
becomes_root=doas
apk_installed=alpine-base
apk_installed=doas
apk_installed=grub-efi
apk_installed=partx
apk_installed=sfdisk
apk_installed=linux-virt
apk_installed=syslinux
apk_installed=openssh
apk_installed=e2fsprogs-extra
apk_installed=tiny-cloud
apk_installed=tiny-cloud-openrc
end=yes
"""


def failures(text: str) -> list[str]:
    return failed_checks(Facts.parse(text), EXPECTED)


def test_a_good_image_fails_nothing() -> None:
    assert failures(GOOD) == []


@pytest.mark.parametrize(
    ("found", "said"),
    [("3.25_alpha20261001", []), ("", ["/etc/alpine-release says '' instead of 'edge-20261128'"])],
)
def test_edge_is_called_by_the_day_of_its_build_and_may_have_any_release(found: str, said: list[str]) -> None:
    edge = replace(EXPECTED, release="edge-20261128", build=BUILD.model_copy(update={"version": "edge"}))
    text = GOOD.replace("release=3.23.6", f"release={found}", 1).replace('RELEASE="3.23.6"', 'RELEASE="edge-20261128"')
    assert failed_checks(Facts.parse(text), edge) == said


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
        ("boot_mode=legacy", "boot_mode=uefi", "it was booted by uefi instead of legacy"),
        ("root_partition=no", "root_partition=yes", "the root filesystem lies in a partition"),
        ("fstab=/ ext4\n", "", "/etc/fstab does not name /"),
        ("host_key=ssh_host_ed25519_key.pub\n", "", "no SSH host key"),
        (
            "socket=udp 0F00FEA9:0044",
            "socket=udp 0F00FEA9:0035",
            "something listens on 53/udp, which is not among the profile's ports",
        ),
        (
            "socket=udp6 00000000000000000000000001000000:0143",
            "socket=udp6 " + "0" * 32 + ":0143",
            "something listens on 323/udp",
        ),
        ("end=yes", "socket=tcp 0100007F:0019 00000000:0000 0A\nend=yes", "something listens on 25/tcp"),
        (
            "shutdown killprocs stopped",
            "shutdown killprocs stopped\nservice=default crond started",
            "crond (default) is not",
        ),
        ("411 1000020", "411 1000003", "it carries SSH host keys: every instance would have the same: /etc/ssh/ssh_h"),
        ("644 - 0 999950 /etc/machine-id", "644 - 33 999950 /etc/machine-id", "it carries a machine-id"),
        (
            "32 1000007",
            "32 999950",
            "it carries a random seed: every instance would start from the same: /var/lib/seed",
        ),
        ("60 1000009", "60 999950", "it carries name servers of the build's network: /etc/resolv.conf"),
        ("81 1000021", "81 999950", "it carries SSH keys that let somebody in: /home/alpine/.ssh/authorized_keys"),
        (
            "70000 1000040",
            "1048577 1000040",
            "its logs have 1024 KiB, more than 1024; the largest is /var/log/messages",
        ),
        (
            "/var/cache/rc/deptree",
            "/var/cache/apk/APKINDEX.066df28d.tar.gz",
            "it carries apk's cache: /var/cache/apk/A",
        ),
        ("/var/cache/rc/deptree", "/root/.ash_history", "it carries a shell's history: /root/.ash_history"),
        ("/var/cache/rc/deptree", "/var/lib/cloud/seed", "it carries data of the instance that built it: /var/lib/cl"),
        ("/var/cache/rc/deptree", "/srv/core.712", "it carries the memory of a program that crashed: /srv/core.712"),
        ("f 4755 4755", "f 4755 755", "setuid or setgid, but not by a package: /usr/bin/doas"),
        ("f 644 - 20578", "f 2755 - 20578", "setuid or setgid, but not by a package: /var/cache/rc/deptree"),
        ("f 644 - 20578", "f 666 - 20578", "anyone may write to: /var/cache/rc/deptree"),
        (
            "f 644 - 20578 999950 /var/cache/rc/deptree",
            "d 777 755 4096 999950 /srv/in box",
            "may write to: /srv/in box",
        ),
        ("database=999960", "database=1000004", "its clock is behind the build's"),
        ("password=root none", "password=root empty", "the password of root is empty: anyone may log in"),
        ("password=alpine none", "password=alpine set", "alpine has a password"),
        (f"{KEY} verify", "ssh-rsa AAAAB3 me", "/home/alpine/.ssh/authorized_keys lets in a key that is not the inst"),
        ("password=root none\npassword=alpine none\n", "", "the accounts' passwords could not be read"),
        ("world=openssh", "world=openssh\nworld=.build-deps", "the package .build-deps is not the profile's"),
        ("world=openssh\n", "", "the package openssh of the profile is not in /etc/apk/world"),
        ("solved=yes", "solved=yes\nunneeded=htop", "the package htop is installed, but neither asked for nor needed"),
        ("solved=yes", "solved=ERROR: no", "apk can't work out which packages are needed: ERROR: no"),
        ("U etc/issue", "U usr/sbin/sshd", "nor the guest scripts (apk audit): U usr/sbin/sshd"),
        (
            "=pool.ntp.org /etc",
            "=169.254.169.123 /etc",
            "/etc/ntp.conf sets the clock by 169.254.169.123, which only A",
        ),
        ("bootstrap=tiny-cloud", "bootstrap=", "set up by nothing instead of tiny-cloud"),
        ("bootstrap_status=complete", "bootstrap_status=incomplete", "has not completed its set-up"),
        ("known_instance=i-12345678", "known_instance=i-0", "set up the instance 'i-0', and this is 'i-12345678'"),
        ("metadata_instance=i-12345678", "metadata_instance=", "and this is ''"),
        ("known_host_name=ip-10-0-0-5", "known_host_name=alpine", "the host name is 'alpine' instead of 'ip-10-0-0-5'"),
        ("key_taken=yes", "", "is not among the user's authorized keys"),
        ("end=yes", "", "did not run to their end"),
    ],
)
def test_each_fault_is_named(good: str, bad: str, said: str) -> None:
    text = GOOD.replace(good, bad)
    assert text != GOOD
    found = failures(text)
    assert len(found) == 1
    assert said in found[0]


MAY_BE_ABSENT = {
    "authorized_key": "nobody is let in",
    "booted": "root tells when the root was mounted",
    "root_device": "a name for people",
    "time_server": "this profile has no time service",
}
"""Facts that are not there in a good image, or not always."""


@pytest.mark.parametrize("key", sorted({line.partition("=")[0] for line in GOOD.splitlines()} - MAY_BE_ABSENT.keys()))
def test_a_probe_that_finds_nothing_is_a_failure(key: str) -> None:
    for text in (re.sub(f"^{key}=.*\n", "", GOOD, flags=re.M), re.sub(f"^{key}=.*", f"{key}=", GOOD, flags=re.M)):
        assert failures(text) != []


UDP = "socket=udp 00000000:{:04X} 00000000:0000 07\n"


@pytest.mark.parametrize(("port", "is_server"), [(1, True), (1023, True), (1024, True), (32767, True), (32768, False)])
def test_a_udp_port_below_those_of_clients_is_a_servers(port: int, *, is_server: bool) -> None:
    wanted = [f"something listens on {port}/udp, which is not among the profile's ports"] if is_server else []
    assert failures(UDP.format(port) + GOOD) == wanted
    connected = UDP.format(port).replace(" 00000000:0000", " 01020304:007B")
    assert failures(connected + GOOD) == []


@pytest.mark.parametrize(("kib", "grown"), [(1887437, True), (1887436, False)])
def test_a_root_that_fills_nine_tenths_of_its_disk_has_grown(kib: int, *, grown: bool) -> None:
    found = failures(GOOD.replace("root_kib=1990000", f"root_kib={kib}"))
    assert (found == []) is grown


@pytest.mark.parametrize(("size", "fits"), [(1048576, True), (1048577, False)])
def test_logs_may_have_a_mebibyte(size: int, *, fits: bool) -> None:
    assert (failures(GOOD.replace("70000 1000040", f"{size} 1000040")) == []) is fits


@pytest.mark.parametrize(("changed", "new"), [(1000004, True), (1000003, False)])
def test_what_is_as_old_as_the_mount_is_new(changed: int, *, new: bool) -> None:
    assert (failures(GOOD.replace("411 1000020", f"411 {changed}")) == []) is new


def test_without_root_rights_only_what_cannot_be_read_is_left_to_the_finished_root() -> None:
    text = GOOD.replace("become=doas -n", "become=nobody").replace("end=yes", "change=U usr/sbin/sshd\nend=yes")
    (clause,) = failures(text)
    assert clause.endswith("(apk audit): U usr/sbin/sshd")
    assert failures(text.replace("become=nobody", "become=doas -n").replace("change=U usr", "change=e usr"))


def test_before_the_first_boot_everything_comes_from_the_build() -> None:
    at_rest = f"at_rest=yes\naudited=full\n{GOOD}"
    found = failures(at_rest)
    for path in ("/etc/ssh/ssh_host_ed25519_key", "/etc/resolv.conf", "/var/lib/seedrng/seed.credit"):
        assert [clause for clause in found if path in clause]
    assert not [clause for clause in found if "service" in clause], "nothing runs there"


def test_a_user_who_cannot_become_root_sees_what_the_boot_time_tells() -> None:
    text = GOOD.replace("become=doas -n", "become=nobody").replace("mounted=1000004", "mounted=")
    text = text.replace("end=yes", "change=e etc/crontabs/root\nend=yes")
    text = text.replace("password=root none\npassword=alpine none\n", "")
    assert failures(text) == []
    (clause,) = failures(text.replace("411 1000020", "411 999800"))
    assert "SSH host keys" in clause


def test_the_page_lists_every_file_that_differs_from_its_package() -> None:
    assert "| `/etc/motd` | the profile's `motd` |" in image_files()


def test_what_the_profile_changed_is_what_the_build_saw() -> None:
    seen = "changed_by_packages=etc/shells\nchanged_by_guest=etc/fstab\nchanged_by_setup=etc/motd\n"
    assert changed_by_profile(Facts.parse(seen)) == {"etc/shells", "etc/motd"}


def test_what_the_profile_lets_listen_may() -> None:
    text = GOOD.replace("end=yes", "socket=tcp 00000000:0050 00000000:0000 0A\nend=yes")
    assert len(failures(text)) == 1
    web = BUILD.model_copy(update={"ports": ("80/tcp",)})
    assert failed_checks(Facts.parse(text), replace(EXPECTED, build=web)) == []


def test_the_clock_is_set_by_the_profiles_servers_where_it_names_some() -> None:
    named = {"ntp_servers": ("192.0.2.1",), "services": {**SERVICES, "default": ("sshd", "acpid", "ntpd")}}
    expected = replace(EXPECTED, build=BUILD.model_copy(update=named))
    text = GOOD.replace("end=yes", "service=default ntpd started\nend=yes")
    assert failed_checks(Facts.parse(text), expected) == [
        "/etc/ntp.conf sets the clock by pool.ntp.org, which is not among the profile's ntp_servers",
        "the clock is not set by 192.0.2.1, which is among the profile's ntp_servers",
    ]
    own = text.replace("=pool.ntp.org", "=192.0.2.1").replace(
        "end=yes", "time_server=a /etc/chrony/chrony.conf\nend=yes"
    )
    assert failed_checks(Facts.parse(own), expected) == [], "chronyd is not what runs"


@pytest.mark.parametrize(
    ("asked", "written"),
    [
        ("a~=1.2", "a~1.2"),
        ("a=~1.2", "a~1.2"),
        ("a==1-r0", "a=1-r0"),
        ("a=<9", "a<=9"),
        ("a=>9", "a>=9"),
        ("a>9", "a>9"),
    ],
)
def test_a_wanted_version_is_known_in_apks_own_words(asked: str, written: str) -> None:
    expected = replace(EXPECTED, build=BUILD.model_copy(update={"packages": {"openssh": True, asked: True}}))
    text = GOOD.replace("end=yes", f"world={written}\napk_installed=a\nend=yes")
    assert failed_checks(Facts.parse(text), expected) == []


def test_many_files_are_counted() -> None:
    more = "".join(f"file=f 666 - 1 999950 /srv/{number}\n" for number in range(9))
    assert failures(GOOD.replace("end=yes", f"{more}end=yes")) == [
        "anyone may write to: /srv/0, /srv/1, /srv/2, /srv/3 and 5 more"
    ]
