"""The digest follows the content of the image, not the way in which its profile is written."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from omi.profile.content import content, install_repositories, package_lines, repository_lines
from omi.profile.digest import common_files, image_digest
from omi.profile.load import load_profile
from omi.profile.model import Target
from omi.support.errors import InputError
from tests.omi.conftest import TOP

PROFILE: dict[str, Any] = {
    "suffix": "-x",
    "volume_size": 2,
    "packages": {"nginx": True, "dhcpcd": False, "foot": "testing", "openssl~3.5": "testing"},
    "repos": {"https://dl-cdn.alpinelinux.org/alpine/edge/testing": "testing"},
    "services": {"default": {"nginx": True, "acpid": None}, "boot": {"syslog": False}},
    "kernel_options": {"quiet": True, "console=tty0": False},
    "builds": {"a": {"version": "3.23", "packages": {"curl": True}}},
}


def build(profile: dict[str, Any] | str) -> Target:
    """The profile's build `a`, with the project's own core files below it."""
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        for name in ("base", "version", "arch", "keys"):
            (root / name).symlink_to(TOP / "profiles" / name)
        text = profile if isinstance(profile, str) else yaml.safe_dump(profile)
        (root / "p.yaml").write_text(text)
        (root / "script.sh").write_text("echo one\n")
        return load_profile("p", root).builds[0]


def shuffled(value: Any, random: Any) -> Any:
    if not isinstance(value, dict):
        return value
    items = list(value.items())
    random.shuffle(items)
    return {key: shuffled(inner, random) for key, inner in items}


@settings(max_examples=20, deadline=None)
@given(st.randoms(), st.booleans(), st.sampled_from([2, 4, 8]))
def test_how_the_yaml_is_written_does_not_show(random: Any, flow: bool, indent: int) -> None:
    text = yaml.safe_dump(shuffled(PROFILE, random), sort_keys=False, default_flow_style=flow, indent=indent, width=40)
    commented = "# a comment\n\n" + text.replace("\n", "  # here\n" if not flow else "\n")
    assert json.dumps(content(build(commented)), sort_keys=True) == json.dumps(content(build(PROFILE)), sort_keys=True)


@pytest.mark.parametrize(
    "change",
    [
        {"suffix": "-y"},
        {"prefix": "other-"},
        {"description": "Another"},
        {"description_suffix": " of ours"},
        {"description_template": "{release}"},
        {"name_template": "{release}{revision}"},
        {"access": {"public": True}},
        {"release": "3.23.5"},
        {"revision": "r3"},
        {"ports": {"80/tcp": True}},
        {"tests": {"a": "script.sh"}},
        {"packages": {**PROFILE["packages"], "absent": False}},
        {"privileges": "doas"},
        {"motd": None},
        {"timezone": None},
        {"ntp_servers": {"ntp.example.org": False}},
        {"sysctl": {"net.ipv4.ip_forward": False}},
    ],
)
def test_what_only_names_or_surrounds_an_image_does_not_show(change: dict[str, Any]) -> None:
    assert content(build(PROFILE | change)) == content(build(PROFILE))


@pytest.mark.parametrize(
    "change",
    [
        {"volume_size": 3},
        {"user": "other"},
        {"privileges": "sudo"},
        {"motd": "Hello"},
        {"timezone": "Europe/Paris"},
        {"ntp_servers": {"ntp.example.org": True}},
        {"sysctl": {"net.ipv4.ip_forward": 1}},
        {"packages": {}},
        {"packages": {**PROFILE["packages"], "foot": True}},
        {"repos": {**PROFILE["repos"], "https://example.org/x": "commented"}},
        {"services": {}},
        {"kernel_flavor": "lts"},
        {"firmware": "uefi"},
        {"firmware": "hybrid"},
        {"kernel_modules": {"loop": True}},
        {"kernel_options": {}},
        {"initfs_features": {"xfs": True}},
        {"setup_script": "script.sh"},
        {"setup_copy": {"a": "script.sh"}},
        {"keys": {"alpine-devel@lists.alpinelinux.org-4a6a0840.rsa.pub": False}},
        {"builds": {"a": {"version": "3.22", "packages": {"curl": True}}}},
    ],
    ids=lambda change: next(iter(change)),
)
def test_what_ends_in_the_image_shows(change: dict[str, Any]) -> None:
    assert content(build(PROFILE | change)) != content(build(PROFILE))


def test_packages_hold_what_every_image_needs_and_tags_where_apk_wants_them() -> None:
    lines = package_lines(build(PROFILE))
    assert {
        "alpine-base",
        "linux-virt",
        "syslinux",
        "nginx",
        "foot@testing",
        "openssl@testing~3.5",
        "curl",
        "doas",
    } <= set(lines)
    assert "dhcpcd" not in lines
    assert "sudo" not in lines
    assert "sudo" in package_lines(build(PROFILE | {"privileges": "sudo"}))
    assert not {"doas", "sudo"} & set(package_lines(build(PROFILE | {"privileges": "none"})))
    assert "linux-lts" in package_lines(build(PROFILE | {"kernel_flavor": "lts"}))


@pytest.mark.parametrize(
    ("bootstrap", "version", "packages"),
    [
        ("tiny-cloud", "3.22", {"tiny-cloud", "tiny-cloud-openrc", "e2fsprogs-extra"}),
        ("cloud-init", "3.22", {"cloud-init", "e2fsprogs-extra"}),
        ("cloud-init", "3.23", {"cloud-init", "cloud-init-datasource-ec2", "e2fsprogs-extra"}),
        ("cloud-init", "edge", {"cloud-init", "cloud-init-datasource-ec2", "e2fsprogs-extra"}),
    ],
)
def test_what_sets_up_instances_brings_its_packages(bootstrap: str, version: str, packages: set[str]) -> None:
    wanted = build(PROFILE | {"bootstrap": bootstrap, "builds": {"a": {"version": version}}})
    lines = package_lines(wanted)
    assert {line for line in lines if "cloud" in line or line == "e2fsprogs-extra"} == packages


def test_the_digest_covers_release_scripts_and_template(tmp_path: Path) -> None:
    guest, template = tmp_path / "guest", tmp_path / "image.pkr.hcl"
    guest.mkdir()
    (guest / "build.sh").write_text("echo\n")
    template.write_text("source {}\n")
    one = build(PROFILE)

    def digest(release: str = "3.23.6") -> str:
        return image_digest(one, release, common_files(guest, template))

    first = digest()
    assert first.startswith("sha256:")
    assert len(first) == 71
    (guest / "README.md").write_text("about\n")
    (guest / ".build.sh.swp").write_text("x")
    assert digest() == first
    assert digest("3.23.7") != first
    (guest / "build.sh").chmod(0o755)
    executable = digest()
    assert executable != first
    (guest / "build.sh").write_text("echo two\n")
    assert digest() not in (first, executable)
    changed = digest()
    template.write_text("source { }\n")
    assert digest() != changed


def test_alpines_own_server_is_replaced_by_the_mirror_and_no_other() -> None:
    urls = [
        "https://dl-cdn.alpinelinux.org/alpine/v3.23/main",
        "http://dl-cdn.alpinelinux.org/alpine/v3.23/community",
        "http://example.org/dl-cdn.alpinelinux.org/alpine/x",
        "http://dl-cdn.alpinelinux.org/alpinex/y",
    ]
    wanted = build(PROFILE).model_copy(update={"repos": dict.fromkeys(urls, True)})
    mirrored = install_repositories(wanted, "https://mirror.test/a/")
    assert set(mirrored) == {"https://mirror.test/a/v3.23/main", "https://mirror.test/a/v3.23/community", *urls[2:]}
    assert set(urls) <= set(repository_lines(wanted))


def test_when_to_rebuild_is_no_content() -> None:
    assert content(build(PROFILE | {"rebuild_on": "packages"})) == content(build(PROFILE))


def test_a_missing_guest_folder_or_template_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="guest: no such folder"):
        common_files(tmp_path / "guest", tmp_path / "t")
    (tmp_path / "guest").mkdir()
    with pytest.raises(InputError, match="t: is not there; put it there"):
        common_files(tmp_path / "guest", tmp_path / "t")


@pytest.mark.parametrize(
    ("firmware", "packages", "boot_modes"),
    [
        ("bios", {"syslinux"}, ("legacy",)),
        ("uefi", {"grub-efi", "partx", "sfdisk"}, ("uefi",)),
        ("hybrid", {"grub-efi", "syslinux", "partx", "sfdisk"}, ("legacy", "uefi")),
    ],
)
def test_loaders_and_boot_modes_follow_from_the_firmware(
    firmware: str, packages: set[str], boot_modes: tuple[str, ...]
) -> None:
    made = build(PROFILE | {"firmware": firmware})
    assert {"grub-efi", "syslinux", "partx", "sfdisk"} & set(package_lines(made)) == packages
    assert made.boot_modes == boot_modes
