"""Target profiles of the old tool become ours, with a line for what has no counterpart."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from omi.cli.migrate import migrate_profiles
from omi.profile.load import load_profile
from omi.profile.model import Target
from omi.support.errors import InputError
from tests.omi.profile.old_tool import lay_checkout, write

TOP = Path(__file__).resolve().parents[3]
ANCESTOR = TOP.parent / "shared" / "data" / "ancestor"


@pytest.fixture
def old(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A checkout of the old tool, beside a project whose profiles are ours without its targets."""
    project = tmp_path / "project"
    shutil.copytree(TOP / "profiles", project / "profiles")
    for path in (project / "profiles").glob("*.yaml"):
        path.unlink()
    monkeypatch.chdir(project)
    folder = tmp_path / "old"
    lay_checkout(folder)
    return folder


def migrated(old: Path) -> dict[str, Target]:
    migrate_profiles(old)
    return {build.name: build for build in load_profile("web").builds}


def test_keys_of_old_profiles_become_ours(old: Path) -> None:
    build = migrated(old)["v3_23-x86_64"]
    assert (build.prefix, build.suffix, build.description) == ("alpine-omi-", "-web", "Alpine Linux")
    assert (build.volume_size, build.user, build.privileges) == (4, "alpine", "sudo")
    assert (build.release, build.revision, build.kernel_flavor) == (None, 2, "virt")
    assert build.repos["https://dl-cdn.alpinelinux.org/alpine/v3.23/main"] is True
    assert build.repos["https://dl-cdn.alpinelinux.org/alpine/edge/testing"] == "edge-testing"
    assert {"chrony": True, "nginx": True, "foot": "edge-testing"}.items() <= build.packages.items()
    assert {"panic=10", "console=ttyS0,115200n8"} <= set(build.kernel_options)
    assert "usb-storage" in build.kernel_modules


def test_false_and_null_take_away(old: Path) -> None:
    builds = migrated(old)
    assert not {"curl", "tzdata", "tiny-ec2-bootstrap"} & set(builds["v3_23-x86_64"].packages)
    assert "nginx" not in builds["v3_13-x86_64"].packages


def test_services_keep_their_runlevels_and_one_clock(old: Path) -> None:
    services = migrated(old)["v3_23-x86_64"].services
    assert {"chronyd", "nginx", "sshd"} <= set(services["default"])
    assert {"hwclock", "swap", "networking"} <= set(services["boot"])
    assert not {"ntpd", "tiny-ec2-bootstrap", "eth-eni-setup"} & {name for names in services.values() for name in names}


def test_what_only_aws_has_is_left_out(old: Path) -> None:
    build = migrated(old)["v3_23-x86_64"]
    assert not {"ena", "nvme"} & {*build.kernel_modules}
    assert "ena" not in build.initfs_features
    assert not [option for option in build.kernel_options if option.startswith("nvme")]


def test_the_setup_script_brings_files_and_folders(old: Path) -> None:
    build = migrated(old)["v3_23-x86_64"]
    assert build.setup_script == "setup/web/scripts/web.sh"
    assert set(build.setup_copy) == {"page/index.html", "page/css/main.css", "conf"}
    assert Path("profiles", build.setup_copy["page/css/main.css"]).read_text(encoding="utf-8") == "p {}\n"


def test_a_release_that_a_build_names_is_a_pin(old: Path) -> None:
    assert migrated(old)["v3_13-x86_64"].release == "3.13.5"


def test_a_new_branch_gets_its_file_and_a_known_one_keeps_ours(old: Path) -> None:
    ours = (TOP / "profiles" / "version" / "3.23.yaml").read_text(encoding="utf-8")
    build = migrated(old)["v3_13-x86_64"]
    assert (build.recorded_release, str(build.end_of_life)) == ("3.13.0", "2027-11-01")
    assert Path("profiles/version/3.23.yaml").read_text(encoding="utf-8") == ours


def test_what_has_no_counterpart_is_reported(old: Path, capsys: pytest.CaptureFixture[str]) -> None:
    migrated(old)
    lines = capsys.readouterr().out.splitlines()
    assert any(line.startswith("  v3_23-aarch64: arch aarch64: left out") for line in lines)
    assert any("build_instance_type tinav4.c2r4p1" in line and "vm.vm_type" in line for line in lines)
    assert any("scripts/web.sh: uses " in line and "./NAME" in line for line in lines)
    assert any("v3_23-x86_64: revision r2: stays as a pin" in line for line in lines)


@pytest.mark.parametrize(
    ("name", "text", "said"),
    [
        ("web.conf", "BUILDS {", "web.conf: is not HOCON"),
        ("web.conf", "a = 1", "has no profiles/NAME.conf with BUILDS"),
        ("web.conf", "BUILDS { one = 1 }", "BUILDS.one is no map"),
        ("web.conf", "BUILDS { one = ${nothing} }", "web.conf: is not HOCON"),
        ("web.conf", 'x { include required("../../secret") }\nBUILDS { one { a = 1 } }', "leads out of"),
        ("web.conf", 'x { include url("https://127.0.0.1/x") }\nBUILDS { one { a = 1 } }', "is not read"),
        ("web.conf", 'BUILDS { one { arch = "aarch64" } }', "none of its builds"),
        ("web.conf", 'BUILDS { one { arch = "x86_64" } }', "one: names no version"),
        (
            "web.conf",
            'BUILDS { one { arch = "x86_64", version = "3.23", omi_user = "root" } }',
            r"web.conf: .*profiles/web.yaml.*user",
        ),
        (
            "web.conf",
            'BUILDS { one { arch = "x86_64", version = 3.23, svcs = 1, setup_copy = x, pkgs { "no name!" = 1 } } }',
            "no name!",
        ),
    ],
)
def test_what_cannot_be_read_writes_nothing(old: Path, name: str, text: str, said: str) -> None:
    write(old / "profiles" / name, text)
    before = sorted(Path().rglob("*"))
    with pytest.raises(InputError, match=said) as failed:
        migrate_profiles(old)
    assert "\n" not in str(failed.value)
    assert sorted(Path().rglob("*")) == before


def test_a_profile_that_is_there_already_is_not_overwritten(old: Path) -> None:
    write(Path("profiles/web.yaml"), "builds: {}\n")
    with pytest.raises(InputError, match=r"profiles/web\.yaml: there already"):
        migrate_profiles(old)
    assert not Path("profiles/setup/web").exists()


def test_a_folder_without_old_profiles_is_refused(old: Path) -> None:
    with pytest.raises(InputError, match="has no profiles/"):
        migrate_profiles(old / "scripts")
    with pytest.raises(InputError, match="has no profile shop; there are: web"):
        migrate_profiles(old, ["shop"])


@pytest.mark.skipif(not ANCESTOR.is_dir(), reason="the old tool's own profiles are not beside this checkout")
def test_every_profile_of_the_old_tool_loads(old: Path) -> None:
    migrate_profiles(ANCESTOR)
    assert len(load_profile("alpine").builds) == 5
    assert len(load_profile("test").builds) == 4
