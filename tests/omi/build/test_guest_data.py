"""What the guest's scripts read is what the spec says, whatever characters are in it."""

from __future__ import annotations

import base64
import shutil
import stat
import subprocess
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from omi.build.guest_data import env_text, guest_values, write_guest_data
from omi.build.origin import Origin
from omi.profile.discover import expand_discovered
from omi.profile.load import load_profile
from omi.profile.model import Target
from omi.state.image import BuildVm, ImageSpec
from omi.support.errors import BuildError, ProfileError, SettingsError
from tests.omi.specs import make_spec

PROFILES = Path(__file__).parents[3] / "profiles"
SH = shutil.which("dash") or "sh"
ORIGIN = Origin("1" * 40, {"pulumi": "3.259.0", "packer": "1.16.0"})


def sourced(env: Path, names: list[str]) -> dict[str, str]:
    """The values as a POSIX shell reads them; `x` keeps trailing newlines from being cut."""
    script = 'set -eu; . "$1"; shift; for n; do eval "v=\\$$n"; printf "%s\\0" "$v"; done'
    command = [SH, "-c", script, "sh", str(env), *names]
    done = subprocess.run(command, capture_output=True, check=True, timeout=30)
    return dict(zip(names, done.stdout.decode().split("\0")[:-1], strict=True))


def spec(build: Target, trusted: tuple[str, ...] = ()) -> ImageSpec:
    return make_spec(
        name=build.image_name("3.23.6", 0),
        build=build,
        vm=BuildVm(mirror="http://169.254.0.2:7442/alpine", trusted_keys=trusted),
    )


@pytest.fixture
def build() -> Target:
    return expand_discovered(load_profile("alpine", PROFILES), ["3.23"]).builds[-1]


def test_the_guest_reads_the_spec(build: Target, tmp_path: Path) -> None:
    repos: dict[str, bool | str] = {
        **build.repos,
        "https://dl-cdn.alpinelinux.org/alpine/edge/testing": "testing",
        "https://example.org/own": True,
        "https://example.org/other": False,
    }
    build = build.model_copy(update={"repos": repos, "packages": {"foot": "testing"}, "volume_size": 3})
    write_guest_data(spec(build), ORIGIN, PROFILES, tmp_path / "data")
    read = sourced(tmp_path / "data" / "image.env", list(guest_values(spec(build), ORIGIN)))
    assert read == guest_values(spec(build), ORIGIN)
    assert read["IMAGE_NAME"] == "alpine-3.23.6-x86_64-r0"
    assert (read["BRANCH"], read["RELEASE"], read["ARCH"]) == ("v3.23", "3.23.6", "x86_64")
    assert read["DISK_SIZE_BYTES"] == str(3 * 1024**3)
    assert read["REPOSITORIES"].splitlines() == [
        "https://dl-cdn.alpinelinux.org/alpine/edge/testing".join(["@testing ", ""]),
        "https://dl-cdn.alpinelinux.org/alpine/v3.23/community",
        "https://dl-cdn.alpinelinux.org/alpine/v3.23/main",
        "#https://example.org/other",
        "https://example.org/own",
    ]
    assert read["INSTALL_REPOSITORIES"].splitlines() == [
        "@testing http://169.254.0.2:7442/alpine/edge/testing",
        "http://169.254.0.2:7442/alpine/v3.23/community",
        "http://169.254.0.2:7442/alpine/v3.23/main",
        "https://example.org/own",
    ]
    bootstrap = ["e2fsprogs-extra", "tiny-cloud", "tiny-cloud-openrc"]
    needed = ["alpine-base", "doas", "linux-virt", "syslinux", *bootstrap]
    assert read["PACKAGES"].splitlines() == sorted([*needed, "foot@testing"])
    assert read["BOOTSTRAP"] == "tiny-cloud"
    assert read["SERVICES_DEFAULT"].splitlines() == ["acpid", "dmesg", "ntpd", "sshd"]
    assert (read["SETUP_SCRIPT"], read["MOTD"], read["TIMEZONE"], read["NTP_SERVERS"], read["SYSCTL"]) == ("",) * 5
    assert read["PRIVILEGES"] == "doas"
    assert (read["COMMIT"], read["TOOLS"]) == ("1" * 40, "pulumi 3.259.0, packer 1.16.0")
    assert (read["PROFILE"], read["BUILD"], read["REVISION"]) == ("alpine", "v3_23-x86_64", "r0")
    assert sorted(file.name for file in (tmp_path / "data" / "keys").iterdir()) == sorted(build.keys)
    assert "end=yes" in (tmp_path / "data" / "probe.sh").read_text(), "the probes of the finished root"


def test_the_guest_reads_what_the_profile_sets(build: Target, tmp_path: Path) -> None:
    changes = {
        "privileges": "sudo",
        "motd": "It's\n  two lines\n",
        "timezone": "Europe/Paris",
        "ntp_servers": ("192.0.2.1", "ntp.example.org"),
        "sysctl": {"net.ipv4.ip_forward": "1", "net.ipv4.tcp_rmem": "4096 131072 6291456"},
    }
    write_guest_data(spec(build.model_copy(update=changes)), ORIGIN, PROFILES, tmp_path / "data")
    names = ["PRIVILEGES", "MOTD", "TIMEZONE", "NTP_SERVERS", "SYSCTL"]
    assert list(sourced(tmp_path / "data" / "image.env", names).values()) == [
        "sudo",
        "It's\n  two lines",
        "Europe/Paris",
        "192.0.2.1\nntp.example.org",
        "net.ipv4.ip_forward = 1\nnet.ipv4.tcp_rmem = 4096 131072 6291456",
    ]


@settings(max_examples=60, deadline=None)
@given(
    st.lists(
        st.one_of(
            st.text(st.characters(blacklist_categories=["Cs"], blacklist_characters="\0")),
            st.text(st.sampled_from("'\"\\$`(){}\n ;&|<>*?#~!\t\r=a")),
        ),
        min_size=1,
        max_size=6,
    )
)
def test_no_value_escapes_its_quotes(tmp_path_factory: pytest.TempPathFactory, values: list[str]) -> None:
    env = tmp_path_factory.mktemp("env") / "image.env"
    wanted = {f"V{number}": value for number, value in enumerate(values)}
    env.write_bytes(env_text(wanted).encode())
    assert sourced(env, list(wanted)) == wanted


def test_setup_files_arrive_as_they_were_and_replace_older_ones(build: Target, tmp_path: Path) -> None:
    root = tmp_path / "profiles"
    shutil.copytree(PROFILES, root)
    (root / "setup").mkdir(exist_ok=True)
    (root / "setup" / "web.sh").write_text("#!/bin/sh\n")
    (root / "setup" / "tool").write_text("tool")
    (root / "setup" / "tool").chmod(0o755)
    (root / "tools" / "more").mkdir(parents=True)
    (root / "tools" / "run").write_text("run")
    (root / "tools" / "run").chmod(0o755)
    (root / "tools" / "more" / "plain").write_text("plain")
    (root / "web.yaml").write_text(
        "setup_script: setup/web.sh\nsetup_copy: {bin/tool: setup/tool, conf: setup/web.sh, all: tools}\n"
        'builds: {a: {version: "3.23"}}\n'
    )
    web = load_profile("web", root).builds[0]
    data = tmp_path / "data"
    (data / "setup").mkdir(parents=True)
    (data / "setup" / "old").write_text("old")
    write_guest_data(spec(web), ORIGIN, root, data)
    assert (data / "setup_script").read_text() == "#!/bin/sh\n"
    assert sourced(data / "image.env", ["SETUP_SCRIPT"]) == {"SETUP_SCRIPT": "setup_script"}
    found = {file.relative_to(data).as_posix() for file in (data / "setup").rglob("*") if file.is_file()}
    assert found == {"setup/bin/tool", "setup/conf", "setup/all/run", "setup/all/more/plain"}
    for file, mode in (("bin/tool", 0o755), ("all/run", 0o755), ("all/more/plain", 0o644)):
        assert stat.S_IMODE((data / "setup" / file).stat().st_mode) == mode
    (root / "setup" / "tool").write_text("changed")
    with pytest.raises(ProfileError, match=r"setup/tool: changed since alpine-3\.23\.6-x86_64-r0 was planned"):
        write_guest_data(spec(web), ORIGIN, root, data)
    write_guest_data(spec(build), ORIGIN, root, data)
    assert not (data / "setup_script").exists()


def test_trusted_keys_are_added_by_the_name_they_sign_with(
    build: Target, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    pem = next(iter(build.keys.values()))
    (tmp_path / "trusted").mkdir()
    (tmp_path / "trusted" / "fixture-1.rsa.pub").write_text(pem)
    (tmp_path / "mirror.rsa.pub").symlink_to("trusted/fixture-1.rsa.pub")
    for name in ("~/trusted/fixture-1.rsa.pub", "~/mirror.rsa.pub", "~/trusted"):
        write_guest_data(spec(build, (name,)), ORIGIN, PROFILES, tmp_path / "data")
        assert (tmp_path / "data" / "keys" / "fixture-1.rsa.pub").read_text() == pem


def test_a_trusted_key_that_is_no_use_is_named(build: Target, tmp_path: Path) -> None:
    clash = tmp_path / next(iter(build.keys))
    clash.write_text(list(build.keys.values())[1])
    (tmp_path / "none.rsa.pub").write_text("nothing")
    cases = {
        "gone.rsa.pub": "gone.rsa.pub: cannot be read: No such file or directory; start the sandbox once",
        "gone.pem": "apk wants a key in a file called NAME.rsa.pub",
        "none.rsa.pub": "holds no public key in PEM form",
        clash.name: "is trusted already",
    }
    for name, message in cases.items():
        with pytest.raises(SettingsError, match="stack config: vm.trusted_keys: .*" + message):
            write_guest_data(spec(build, (str(tmp_path / name),)), ORIGIN, PROFILES, tmp_path / "data")


def test_a_key_that_only_looks_like_one_is_refused_before_a_build(build: Target, tmp_path: Path) -> None:
    name, text = next(iter(build.keys.items()))
    key = bytearray(base64.b64decode("".join(text.splitlines()[1:-1])))
    key[24:28] = bytes(4)  # where its two numbers begin; the frame around them stays whole
    pem = f"-----BEGIN PUBLIC KEY-----\n{base64.encodebytes(key).decode()}-----END PUBLIC KEY-----\n"
    broken = build.model_copy(update={"keys": {**build.keys, name: pem}})
    with pytest.raises(ProfileError, match=r"profile .*: keys\..*: the file holds no public key in PEM form"):
        write_guest_data(spec(broken), ORIGIN, PROFILES, tmp_path / "data")
    assert not (tmp_path / "data").exists()


def test_an_empty_folder_of_trusted_keys_leaves_those_that_the_profile_pins(build: Target, tmp_path: Path) -> None:
    (tmp_path / "keys").mkdir()
    write_guest_data(spec(build, (str(tmp_path / "keys"),)), ORIGIN, PROFILES, tmp_path / "data")
    assert {path.name for path in (tmp_path / "data" / "keys").iterdir()} == set(build.keys)


def test_a_folder_that_can_not_be_written_is_one_line(build: Target, tmp_path: Path) -> None:
    (tmp_path / "data").write_text("in the way")
    with pytest.raises(BuildError, match=r"data.* cannot be written: "):
        write_guest_data(spec(build), ORIGIN, PROFILES, tmp_path / "data")
