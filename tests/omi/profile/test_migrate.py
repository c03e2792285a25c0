"""Target profiles of the old tool become ours, with a line for what has no counterpart."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from omi.cli.main import main
from omi.cli.migrate import migrate_profiles
from omi.profile.load import load_profile
from omi.profile.model import Target
from omi.support.errors import InputError
from tests.omi.profile.old_tool import lay_checkout, write

TOP = Path(__file__).resolve().parents[3]
ANCESTOR = TOP.parent / "shared" / "data" / "ancestor"


def lay(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Lay the old tool's checkout beside a project whose profiles are ours without its targets."""
    project = folder / "project"
    shutil.copytree(TOP / "profiles", project / "profiles")
    for path in (project / "profiles").glob("*.yaml"):
        path.unlink()
    monkeypatch.chdir(project)
    lay_checkout(folder / "old")
    return folder / "old"


@pytest.fixture
def old(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A checkout of the old tool, beside the project in which the test runs."""
    return lay(tmp_path, monkeypatch)


@pytest.fixture(scope="module")
def builds(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Target]:
    """The targets that come of that checkout as it is, for tests that only read them."""
    with pytest.MonkeyPatch.context() as patch:
        return migrated(lay(tmp_path_factory.mktemp("migrated"), patch))


def migrated(old: Path) -> dict[str, Target]:
    migrate_profiles(old)
    return {build.name: build for build in load_profile("web").builds}


def test_a_file_that_an_editor_has_open_is_no_hindrance(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    old = lay(tmp_path, monkeypatch)
    Path("profiles/.#web.yaml").symlink_to("ada@box.4711")
    assert migrated(old)


def test_keys_of_old_profiles_become_ours(builds: dict[str, Target]) -> None:
    build = builds["v3_23-x86_64"]
    assert (build.prefix, build.suffix, build.description) == ("alpine-omi-", "-web", "Alpine Linux")
    assert (build.volume_size, build.user, build.privileges) == (4, "alpine", "sudo")
    assert (build.release, build.revision, build.kernel_flavor) == (None, 2, "virt")
    assert build.repos["https://dl-cdn.alpinelinux.org/alpine/v3.23/main"] is True
    assert build.repos["https://dl-cdn.alpinelinux.org/alpine/edge/testing"] == "edge-testing"
    assert {"chrony": True, "nginx": True, "foot": "edge-testing"}.items() <= build.packages.items()
    assert {"panic=10", "console=ttyS0,115200n8"} <= set(build.kernel_options)
    assert "usb-storage" in build.kernel_modules


def test_false_and_null_take_away(builds: dict[str, Target]) -> None:
    assert not {"curl", "tzdata", "tiny-ec2-bootstrap"} & set(builds["v3_23-x86_64"].packages)
    assert "nginx" not in builds["v3_13-x86_64"].packages


def test_services_keep_their_runlevels_and_one_clock(builds: dict[str, Target]) -> None:
    services = builds["v3_23-x86_64"].services
    assert {"chronyd", "nginx", "sshd"} <= set(services["default"])
    assert {"hwclock", "swap", "networking"} <= set(services["boot"])
    assert not {"ntpd", "tiny-ec2-bootstrap", "eth-eni-setup"} & {name for names in services.values() for name in names}


def test_what_only_aws_has_is_left_out(builds: dict[str, Target]) -> None:
    build = builds["v3_23-x86_64"]
    assert not {"ena", "nvme"} & {*build.kernel_modules}
    assert "ena" not in build.initfs_features
    assert not [option for option in build.kernel_options if option.startswith("nvme")]


def test_the_setup_script_brings_files_and_folders(old: Path) -> None:
    build = migrated(old)["v3_23-x86_64"]
    assert build.setup_script == "setup/web/scripts/web.sh"
    assert set(build.setup_copy) == {"page/index.html", "page/css/main.css", "conf"}
    assert "page: setup/web/pages\n" in Path("profiles/web.yaml").read_text(encoding="utf-8")
    assert Path("profiles", build.setup_copy["page/css/main.css"]).read_text(encoding="utf-8") == "p {}\n"


BUILD = 'BUILDS { one { arch = "x86_64", version = "3.23", %s } }'


@pytest.mark.parametrize(
    ("old_keys", "name", "description"),
    [
        ("", "alpine-3.23.6-x86_64-r1", "Alpine Linux 3.23.6 x86_64 r1"),
        ('omi_name_prefix = "", omi_desc_prefix = ""', "3.23.6-x86_64-r1", "Alpine Linux 3.23.6 x86_64 r1"),
        (
            """omi_desc_prefix = "My ", omi_desc_suffix = " - https://x.test"
            omi_desc = "{var.omi_desc_prefix}{var.release} {var.arch} {var.revision}{var.omi_desc_suffix}\"""",
            "alpine-3.23.6-x86_64-r1",
            "My 3.23.6 x86_64 r1 - https://x.test",
        ),
        (
            """ami_desc_prefix = "My-", ami_name_suffix = -x, ami_user = tester
            ami_name = "{var.ami_name_prefix}{var.profile_build}/{var.release}-{var.revision}{var.ami_name_suffix}"
            ami_desc = "{var.ami_desc_prefix}{var.version} of {var.ami_user}\"""",
            "alpine-one/3.23.6-r1-x",
            "My-3.23 of tester",
        ),
    ],
)
def test_names_and_descriptions_are_as_the_old_tool_made_them(
    old: Path, old_keys: str, name: str, description: str
) -> None:
    write(old / "profiles" / "web.conf", BUILD % (old_keys or "release = null"))
    build = migrated(old)["one"]
    assert (build.image_name("3.23.6", 1), build.image_description("3.23.6", 1)) == (name, description)


def test_only_what_differs_from_our_names_is_written(old: Path) -> None:
    migrated(old)
    text = Path("profiles/web.yaml").read_text(encoding="utf-8")
    assert "template" not in text
    assert "description" not in text


@pytest.mark.parametrize("template", ["alpine-{var.release}", "{var.release:>9}-{var.revision}", "{var.nothing}{x}"])
def test_a_template_that_tells_no_images_apart_is_reported(
    old: Path, template: str, capsys: pytest.CaptureFixture[str]
) -> None:
    write(old / "profiles" / "web.conf", BUILD % f'omi_name = "{template}"')
    assert migrated(old)["one"].image_name("3.23.6", 0) == "alpine-3.23.6-x86_64-r0"
    assert f"one: template of name {template!r}: left out; allowed: letters, digits" in capsys.readouterr().out


def test_a_repository_by_http_stays_one_with_a_note(old: Path, capsys: pytest.CaptureFixture[str]) -> None:
    urls = ('"http://apk.test/x" = x', '"http://dl-cdn.alpinelinux.org/alpine/v3.23/main" = true')
    keys = f"repos {{ {', '.join(urls)} }}"
    write(old / "profiles" / "web.conf", BUILD % keys)
    repos = migrated(old)["one"].repos
    assert repos["http://apk.test/x"] == "x"
    assert repos["https://dl-cdn.alpinelinux.org/alpine/v3.23/main"] is True
    assert "one: repository http://apk.test/x: stays http, by which others see" in capsys.readouterr().out


def test_a_release_that_a_build_names_is_a_pin(builds: dict[str, Target]) -> None:
    assert builds["v3_13-x86_64"].release == "3.13.5"


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
        ("web.conf", "BUILDS { one = 1 }", "BUILDS.one is not a map"),
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
    builds = load_profile("alpine").builds
    assert len(builds) == 5
    assert {build.description_suffix for build in builds} == {
        " - https://github.com/mcrute/alpine-ec2-ami",
        "",  # where omi_desc_suffix, which is empty, counts beside the old key
    }
    assert len(load_profile("test").builds) == 4
    assert main(["profile", "check"]) == 0


def test_files_outside_of_the_old_checkout_are_left_out(old: Path, capsys: pytest.CaptureFixture[str]) -> None:
    outside = old.parent / "outside"
    write(outside / "secret", "x")
    (old / "pages" / "link").symlink_to(outside / "secret")
    copies = f'a = "{outside}", b = "../outside", c = "../outside/secret", d = gone, e = pages'
    write(old / "profiles" / "web.conf", BUILD % f"setup_script = scripts/web.sh, setup_copy {{ {copies} }}")
    build = migrated(old)["one"]
    assert {path for path in build.setup_copy if not path.startswith("e/")} == set()
    assert "e/index.html" in build.setup_copy
    told = capsys.readouterr().out
    for left in (f"a {outside}", "b ../outside", "c ../outside/secret", "d gone", "e pages/link"):
        assert f"setup_copy.{left}: is not a file of {old}, so left out" in told
