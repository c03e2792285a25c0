"""The steps that write into the image's root, one by one, on a root made of a few files."""

from __future__ import annotations

import json
import os
import re
import subprocess
from pathlib import Path

import pytest

from omi.build.guest_data import guest_values
from omi.build.origin import Origin
from tests.guest.shell import GUEST, image_env, run_functions, write_program
from tests.omi.specs import make_spec

REQUIRED = {
    "IMAGE_NAME": "alpine-3.23.6-x86_64-r0",
    "RELEASE": "3.23.6",
    "BRANCH": "v3.23",
    "ARCH": "x86_64",
    "MIRROR": "http://127.0.0.1/alpine",
    "DISK_SIZE_BYTES": "1073741824",
    "DISK_DEVICE": "/dev/xvdf",
    "FIRMWARE": "bios",
    "ROOT_LABEL": "alpine-root",
    "HOSTNAME": "alpine",
    "USER_NAME": "alpine",
    "REPOSITORIES": "https://dl-cdn.alpinelinux.org/alpine/v3.23/main",
    "INSTALL_REPOSITORIES": "http://127.0.0.1/alpine/v3.23/main",
    "PACKAGES": "alpine-base\nlinux-virt",
    "KERNEL_FLAVOR": "virt",
    "BOOTSTRAP": "tiny-cloud",
    "METADATA_URL": "http://169.254.169.254/latest",
    "PRIVILEGES": "doas",
    "PROFILE": "alpine",
    "BUILD": "v3_23-x86_64",
    "REVISION": "r0",
    "DIGEST": f"sha256:{'0' * 64}",
    "COMMIT": f"{'1' * 40}+changes",
    "TOOLS": "packer 1.16.0",
    "IMAGE_KEYS": "k.rsa.pub",
}
NAMES = guest_values(make_spec(), Origin("unknown", {})).keys()
SETTINGS = {**dict.fromkeys(NAMES, ""), **REQUIRED}


@pytest.fixture
def data(tmp_path: Path) -> Path:
    folder = tmp_path / "data"
    (folder / "keys").mkdir(parents=True)
    (folder / "keys/k.rsa.pub").write_text("key")
    (folder / "image.env").write_text(image_env(SETTINGS))
    return folder


@pytest.fixture
def root(tmp_path: Path) -> Path:
    folder = tmp_path / "root"
    for place in ("etc/init.d", "etc/conf.d", "etc/ssh/sshd_config.d", "boot", "usr/bin", "etc/mkinitfs/features.d"):
        (folder / place).mkdir(parents=True)
    for service in ("sshd", "acpid", "modules"):
        (folder / "etc/init.d" / service).write_text("#!/sbin/openrc-run\n")
        (folder / "etc/init.d" / service).chmod(0o755)
    (folder / "etc/modules").write_text("af_packet\n")
    (folder / "etc/passwd").write_text("root:x:0:0:root:/root:/bin/sh\nalpine:x:1000:1000::/home/alpine:/bin/sh\n")
    (folder / "etc/shadow").write_text("root:::0:::::\nalpine:!:1:0:::::\n")
    return folder


def test_values_come_through_as_they_were_written(data: Path, tmp_path: Path) -> None:
    odd = 'it\'s $HOME `id`\nsecond "line"'
    (data / "image.env").write_text(image_env({**SETTINGS, "KERNEL_OPTIONS": odd}))
    done = run_functions('load_settings > /dev/null; printf %s "$KERNEL_OPTIONS"', tmp_path, DATA=str(data))
    assert (done.returncode, done.stdout) == (0, odd)


@pytest.mark.parametrize("name", sorted(REQUIRED))
def test_a_missing_value_is_named(data: Path, tmp_path: Path, name: str) -> None:
    (data / "image.env").write_text(image_env({k: v for k, v in SETTINGS.items() if k != name}))
    done = run_functions("load_settings", tmp_path, DATA=str(data), **{name: "from the environment"})
    assert done.returncode == 1
    assert f"guest: ERROR: image.env says no {name} (" in done.stderr


def test_no_trusted_key_is_an_error(data: Path, tmp_path: Path) -> None:
    (data / "keys/k.rsa.pub").unlink()
    done = run_functions("load_settings", tmp_path, DATA=str(data))
    assert done.returncode == 1
    assert "holds no *.rsa.pub" in done.stderr


@pytest.mark.parametrize(
    ("values", "reason"),
    [
        ({"USER_NAME": "root"}, "USER_NAME is root"),
        ({"SETUP_SCRIPT": "setup_script"}, "the setup script setup_script is not in "),
    ],
)
def test_a_value_that_cannot_be_is_named(data: Path, tmp_path: Path, values: dict[str, str], reason: str) -> None:
    (data / "image.env").write_text(image_env({**SETTINGS, **values}))
    done = run_functions("load_settings", tmp_path, DATA=str(data))
    assert done.returncode == 1
    assert f"guest: ERROR: {reason}" in done.stderr


def test_a_missing_tool_is_named(tmp_path: Path) -> None:
    done = run_functions("tools='sh no-such-tool'; id() { echo 0; }; need_tools", tmp_path)
    assert done.returncode == 1
    assert "guest: ERROR: no-such-tool is missing in the build VM (" in done.stderr


@pytest.mark.skipif(os.geteuid() == 0, reason="runs as root, so the refusal can't be seen")
def test_only_root_may_run_it(tmp_path: Path) -> None:
    assert "is not root" in run_functions("need_tools", tmp_path).stderr


def test_services_are_put_in_their_runlevels(root: Path, tmp_path: Path) -> None:
    done = run_functions('add_services default "$SERVICES"', tmp_path, ROOT=str(root), SERVICES="sshd\nacpid")
    assert done.returncode == 0, done.stderr
    assert (root / "etc/runlevels/default/sshd").readlink() == Path("/etc/init.d/sshd")
    assert sorted(p.name for p in (root / "etc/runlevels/default").iterdir()) == ["acpid", "sshd"]


def test_a_service_that_is_not_installed_is_named(root: Path, tmp_path: Path) -> None:
    done = run_functions('add_services boot "chronyd"', tmp_path, ROOT=str(root))
    assert done.returncode == 1
    assert "guest: ERROR: the service chronyd (boot) is in none of the installed packages (" in done.stderr


@pytest.mark.parametrize(
    ("config", "included"), [("Port 22\n", False), ("include /etc/ssh/sshd_config.d/*.conf\n", True)]
)
def test_sshd_takes_keys_only(root: Path, tmp_path: Path, config: str, *, included: bool) -> None:
    (root / "etc/ssh/sshd_config").write_text(config)
    (root / "etc/conf.d/sshd").write_text('sshd_disable_keygen="yes"\n')
    done = run_functions("harden_sshd", tmp_path, ROOT=str(root))
    assert done.returncode == 0, done.stderr
    text = (root / "etc/ssh/sshd_config").read_text()
    assert text == config if included else text == f"Include /etc/ssh/sshd_config.d/*.conf\n{config}"
    hardened = (root / "etc/ssh/sshd_config.d/00-omi.conf").read_text()
    for line in ("PermitRootLogin no", "PasswordAuthentication no", "KbdInteractiveAuthentication no"):
        assert f"{line}\n" in hardened
    assert (root / "etc/conf.d/sshd").read_text() == 'key_types_to_generate="ed25519"\n'


RULES = {"sudo": ("etc/sudoers.d/wheel", 0o440), "doas": ("etc/doas.d/wheel.conf", 0o640)}


def add_user(root: Path, folder: Path, privileges: str, *installed: str) -> subprocess.CompletedProcess[str]:
    for program in installed:
        (root / "usr/bin" / program).touch(0o755)
    values = {"ROOT": str(root), "USER_NAME": "alpine", "PRIVILEGES": privileges}
    return run_functions('in_root() { echo "in_root $*"; }; add_user', folder, **values)


@pytest.mark.parametrize("privileges", ["sudo", "doas"])
def test_nobody_has_a_password_and_wheel_becomes_root_by_the_one_that_is_wanted(
    root: Path, tmp_path: Path, privileges: str
) -> None:
    done = add_user(root, tmp_path, privileges, "sudo", "doas")
    assert done.returncode == 0, done.stderr
    assert "in_root addgroup alpine wheel" in done.stdout
    assert (root / "etc/shadow").read_text() == "root:*::0:::::\nalpine:*:1:0:::::\n"
    rule, mode = RULES[privileges]
    assert "wheel" in (root / rule).read_text()
    assert (root / rule).stat().st_mode & 0o777 == mode
    assert [program for program, (place, _) in RULES.items() if (root / place).exists()] == [privileges]


def test_nobody_becomes_root_where_the_profile_says_so(root: Path, tmp_path: Path) -> None:
    done = add_user(root, tmp_path, "none", "sudo", "doas")
    assert done.returncode == 0, done.stderr
    assert "addgroup" not in done.stdout
    assert not [rule for rule, _ in RULES.values() if (root / rule).exists()]


def test_a_way_to_become_root_that_is_not_installed_is_named(root: Path, tmp_path: Path) -> None:
    done = add_user(root, tmp_path, "sudo", "doas")
    assert done.returncode == 1
    assert "guest: ERROR: sudo is not installed (" in done.stderr


@pytest.mark.parametrize(
    ("release", "branch", "code"), [("3.23.6", "v3.23", 0), ("3.23.7", "v3.23", 1), ("20261123", "edge", 0)]
)
def test_the_release_must_be_the_wanted_one(root: Path, tmp_path: Path, release: str, branch: str, code: int) -> None:
    (root / "etc/alpine-release").write_text("3.23.6\n")
    done = run_functions("check_release", tmp_path, ROOT=str(root), RELEASE=release, BRANCH=branch)
    assert done.returncode == code
    assert ("the mirror holds Alpine 3.23.6, not 3.23.7" in done.stderr) is bool(code)


INITRAMFS = "boot/initramfs-virt"


@pytest.fixture
def initramfs(root: Path) -> dict[str, str]:
    """An initramfs with one module, of a kernel with another built in."""
    modules = root / "lib/modules/6.18.56-0-virt"
    modules.mkdir(parents=True)
    (modules / "modules.builtin").write_text("kernel/drivers/block/built_in.ko\n")
    (root / "etc/mkinitfs/features.d/ext4.modules").touch()
    (root / "boot/vmlinuz-virt").write_text("x")
    (root / INITRAMFS).write_text("./usr/lib/modules/6.18.56-0-virt/kernel/drivers/scsi/sd_mod.ko.gz\n")
    return {"ROOT": str(root), "KERNEL_FLAVOR": "virt", "KERNEL_MODULES": "", "INITFS_FEATURES": "ext4"}


CHECK_INITRAMFS = 'in_root() { case "$1" in zcat) cat "$ROOT$2" ;; *) cat ;; esac; }; check_initramfs'


def test_an_unknown_initramfs_feature_is_named(initramfs: dict[str, str], tmp_path: Path) -> None:
    assert run_functions(CHECK_INITRAMFS, tmp_path, **initramfs).returncode == 0
    done = run_functions(CHECK_INITRAMFS, tmp_path, **{**initramfs, "INITFS_FEATURES": "ext4\nnvmee"})
    assert done.returncode == 1
    assert "mkinitfs knows no feature nvmee" in done.stderr


def test_a_kernel_module_that_no_feature_brings_is_named(initramfs: dict[str, str], tmp_path: Path) -> None:
    done = run_functions(CHECK_INITRAMFS, tmp_path, **{**initramfs, "KERNEL_MODULES": "sd-mod\nbuilt-in"})
    assert done.returncode == 0, done.stderr
    done = run_functions(CHECK_INITRAMFS, tmp_path, **{**initramfs, "KERNEL_MODULES": "sd-mod\nmod"})
    assert done.returncode == 1
    assert "guest: ERROR: the initramfs lacks the kernel module mod (name the feature that brings it in" in done.stderr


def test_the_loaders_menu_has_the_profiles_kernel(root: Path, tmp_path: Path) -> None:
    (root / "boot/extlinux.conf").write_text("DEFAULT menu.c32\nTIMEOUT 10\nLABEL virt\n  LINUX vmlinuz-virt\n")
    assert run_functions("check_extlinux_menu", tmp_path, ROOT=str(root), KERNEL_FLAVOR="virt").returncode == 0
    done = run_functions("check_extlinux_menu", tmp_path, ROOT=str(root), KERNEL_FLAVOR="lts")
    assert "has no entry lts" in done.stderr


def test_the_serial_port_is_the_only_console(root: Path, tmp_path: Path) -> None:
    (root / "etc/inittab").write_text("tty1::respawn:getty tty1\n#ttyS0::respawn:old\n::shutdown:/sbin/openrc\n")
    assert run_functions("set_console", tmp_path, ROOT=str(root)).returncode == 0
    lines = (root / "etc/inittab").read_text().splitlines()
    assert lines[:2] == ["#tty1::respawn:getty tty1", "::shutdown:/sbin/openrc"]
    assert lines[2:] == ["ttyS0::respawn:/sbin/getty -L 115200 ttyS0 vt100"]


def test_apks_lines_become_progress(tmp_path: Path) -> None:
    lines = "( 1/34) Installing musl (1-r0)\n(11/34) Installing x (1-r0)\nExecuting mkinitfs-3-r0.trigger\n"
    (tmp_path / "said").write_text(lines)
    done = run_functions("cat said | tell_installs", tmp_path)
    steps = [line for line in done.stdout.splitlines() if line.startswith("guest: STEP ")]
    assert steps == ["guest: STEP installing 34 packages", "guest: STEP making the initramfs"]
    assert lines.splitlines()[1] in done.stdout


def test_what_belongs_to_the_build_is_taken_away(root: Path, tmp_path: Path) -> None:
    left = ["etc/ssh/ssh_host_rsa_key", "etc/machine-id", "etc/resolv.conf", "etc/passwd-", "root/.ash_history"]
    left += ["var/log/messages", "var/cache/apk/x", "tmp/.x", "home/alpine/.ash_history", "etc/a.conf.apk-new"]
    kept = ("etc/passwd", "var/log/chrony/.keep", "home/alpine/.profile")
    for name in (*left, *kept):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).touch()
    done = run_functions("clean_root", tmp_path, ROOT=str(root))
    assert done.returncode == 0, done.stderr
    assert not [name for name in left if (root / name).exists()]
    assert done.stdout == (
        "guest: note: taken away: /etc/a.conf.apk-new /etc/machine-id /etc/passwd- /etc/resolv.conf "
        "/etc/ssh/ssh_host_rsa_key /home/alpine/.ash_history /root/.ash_history /var/log/chrony/.keep "
        "/var/log/messages; and 2 in tmp var/tmp var/cache/apk run\n"
    )
    assert (root / "etc/passwd").exists()
    assert (root / "var/log/chrony").is_dir(), "folders of packages stay"
    assert (root / "tmp").is_dir()


def test_the_setup_script_sees_root_and_files(data: Path, root: Path, tmp_path: Path) -> None:
    (data / "setup").mkdir()
    (data / "setup/motd").write_text("hello")
    (data / "setup_script").write_text('cp motd "$TARGET/etc/motd"\n')
    values = {"ROOT": str(root), "DATA": str(data), "SETUP_SCRIPT": "setup_script", "SETUP_NAME": "setup/web.sh"}
    audit = 'in_root() { echo A etc/ours; [ ! -e "$ROOT/etc/motd" ] || echo "U etc/motd"; }'
    done = run_functions(f"{audit}; run_setup_script", tmp_path, **values)
    assert done.returncode == 0, done.stderr
    assert "guest: FACT changed_by_setup=etc/motd\n" in done.stdout, "and what it changes is told"
    assert "changed_by_setup=etc/ours" not in done.stdout
    assert (root / "etc/motd").read_text() == "hello"
    (data / "setup_script").write_text("echo going on; echo 'nginx.conf: no such file' >&2; exit 7\n")
    done = run_functions(f"{audit}; run_setup_script", tmp_path, **values)
    assert done.returncode == 1
    said = "guest: ERROR: the setup script setup/web.sh ended with exit code 7: nginx.conf: no such file ("
    assert said in done.stderr
    assert "going on\n" in done.stdout
    (data / "setup_script").write_text("exit 7\n")
    done = run_functions(f"{audit}; run_setup_script", tmp_path, **values)
    assert "guest: ERROR: the setup script setup/web.sh ended with exit code 7 (" in done.stderr


def setup_script(data: Path, root: Path, tmp_path: Path, text: str) -> subprocess.CompletedProcess[str]:
    """Run a setup script and what comes after it; the build VM's resolv.conf says `nameserver 192.0.2.53`."""
    (data / "setup_script").write_text(text)
    (tmp_path / "resolv.conf").write_text("nameserver 192.0.2.53\n")
    values = {"ROOT": str(root), "DATA": str(data), "SETUP_SCRIPT": "setup_script", "SETUP_NAME": "setup/web.sh"}
    services = {"SERVICES_SYSINIT": "", "SERVICES_BOOT": "", "SERVICES_DEFAULT": "sshd\nweb", "SERVICES_SHUTDOWN": ""}
    steps = f"in_root() {{ :; }}; resolver={tmp_path}/resolv.conf; run_setup_script; link_services"
    return run_functions(steps, tmp_path, **values, **services)


BRINGS_WEB = 'install -m 755 /dev/null "$TARGET/etc/init.d/web"\n'


def test_a_service_that_the_setup_script_brings_can_be_named(data: Path, root: Path, tmp_path: Path) -> None:
    done = setup_script(data, root, tmp_path, BRINGS_WEB)
    assert done.returncode == 0, done.stderr
    assert (root / "etc/runlevels/default/web").readlink() == Path("/etc/init.d/web")
    (root / "etc/init.d/web").unlink()
    assert "the service web (default) is in none" in setup_script(data, root, tmp_path, "exit 0\n").stderr


def test_the_setup_script_finds_names_and_leaves_no_resolver(data: Path, root: Path, tmp_path: Path) -> None:
    (root / "etc/resolv.conf").symlink_to(tmp_path / "outside")
    done = setup_script(data, root, tmp_path, BRINGS_WEB + 'cat "$TARGET/etc/resolv.conf"\n')
    assert done.returncode == 0, done.stderr
    assert "nameserver 192.0.2.53\n" in done.stdout
    assert not (root / "etc/resolv.conf").exists()
    assert not (tmp_path / "outside").exists(), "a link in the image doesn't lead into the build VM"
    assert (tmp_path / "resolv.conf").exists()


def test_a_setup_script_that_fails_half_way_fails(data: Path, root: Path, tmp_path: Path) -> None:
    done = setup_script(data, root, tmp_path, BRINGS_WEB + "cat /no/such/file\necho going on\n")
    assert done.returncode == 1
    assert "the setup script setup/web.sh ended with exit code 1: cat: /no/such/file: No such file" in done.stderr
    assert "going on" not in done.stdout


@pytest.mark.parametrize("kernel", ["with IPv6", "without IPv6", "with IPv6 that can't be changed"])
def test_no_setting_of_ipv6_keeps_the_network_down(tmp_path: Path, kernel: str) -> None:
    """ifupdown-ng leaves an interface down when one of its commands fails."""
    place = tmp_path / "accept_dad"
    if "with IPv6" in kernel:
        place.write_text("1\n")
    if "changed" in kernel:
        place = Path("/dev/full")
    lines = (GUEST / "files/interfaces").read_text().splitlines()
    commands = [line.strip().removeprefix("pre-up ") for line in lines if line.strip().startswith("pre-up")]
    (command,) = (line.replace("/proc/sys/net/ipv6/conf/eth0/accept_dad", str(place)) for line in commands)
    assert "/proc" not in command
    subprocess.run(["sh", "-ec", command], check=True, timeout=30)
    if kernel == "with IPv6":
        assert place.read_text() == "0\n"


def test_a_failed_command_is_named(tmp_path: Path) -> None:
    write_program(tmp_path, "mkfs.ext4", "echo no space >&2; exit 3")
    values = {"ROOT_DEVICE": "/dev/null", "ROOT_LABEL": "alpine-root", "SOURCE_DATE_EPOCH": "1"}
    values |= {"DIGEST": "sha256:0", "IMAGE_NAME": "alpine"}
    done = run_functions("make_filesystem", tmp_path, **values)
    assert done.returncode == 1
    (line,) = re.findall("^guest: ERROR: .*$", done.stderr, re.MULTILINE)
    assert "making the root filesystem: 'mkfs.ext4 " in line
    assert "ended with exit code 3" in line


def test_every_failure_of_the_whole_is_one_line(tmp_path: Path) -> None:
    for arguments in ([], ["/no/such/folder"], [str(tmp_path)]):
        done = subprocess.run(
            ["sh", str(GUEST / "build.sh"), *arguments], capture_output=True, text=True, timeout=30, check=False
        )
        assert done.returncode == 1
        assert len(re.findall(r"^guest: ERROR: .* \(.*\)$", done.stderr, re.MULTILINE)) == 1


def test_the_readme_names_every_setting() -> None:
    readme = (GUEST / "README.md").read_text()
    assert not [name for name in NAMES if f"`{name}`" not in readme]
    assert REQUIRED.keys() <= NAMES
    assert json.loads(re.findall(r"RESULT (\{.*?\})", readme)[0]).keys() == {"used_bytes", "trimmed_bytes", "packages"}
