"""The step that sets up cloud-init, on a root made of a few files."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from tests.guest.shell import run_functions

VALUES = {"BOOTSTRAP": "cloud-init", "USER_NAME": "me", "METADATA_URL": "http://169.254.169.254/latest"}
SET_UP = 'in_root() { echo "$*" >> "$ROOT/called"; }\nharden_sshd; set_up_bootstrap'


@pytest.fixture
def root(tmp_path: Path) -> Path:
    folder = tmp_path / "root"
    for place in ("etc/conf.d", "etc/ssh/sshd_config.d", "usr/bin"):
        (folder / place).mkdir(parents=True)
    (folder / "etc/ssh/sshd_config").touch()
    (folder / "etc/conf.d/sshd").write_text('sshd_disable_keygen="yes"\nrc_after="ntpd"\n')
    (folder / "usr/bin/cloud-init").touch(0o755)
    return folder


def test_it_is_told_of_outscale_and_the_user(root: Path, tmp_path: Path) -> None:
    done = run_functions(SET_UP, tmp_path, ROOT=str(root), **VALUES)
    assert done.returncode == 0, done.stderr
    text = (root / "etc/cloud/cloud.cfg.d/90_outscale.cfg").read_text()
    assert text.startswith("#cloud-config\n")
    settings = yaml.safe_load(text)
    assert settings["datasource_list"] == ["Ec2"]
    assert settings["datasource"]["Ec2"]["metadata_urls"] == ["http://169.254.169.254"]
    assert settings["datasource"]["Ec2"]["max_wait"] > 60, "the metadata service may be a minute late"
    assert settings["system_info"]["default_user"] == {"name": "me", "lock_passwd": False, "sudo": None, "doas": []}
    assert (root / "called").read_text() == "setup-cloud-init\n"


def test_sshd_waits_for_its_key_and_makes_no_three(root: Path, tmp_path: Path) -> None:
    assert run_functions(SET_UP, tmp_path, ROOT=str(root), **VALUES).returncode == 0
    assert (root / "etc/conf.d/sshd").read_text() == 'key_types_to_generate="ed25519"\nrc_after="cloud-init"\n'
    assert "PasswordAuthentication no\n" in (root / "etc/ssh/sshd_config.d/00-omi.conf").read_text()


@pytest.mark.parametrize(
    ("bootstrap", "reason"),
    [
        ("cloud-init", "cloud-init is not installed"),
        ("tiny-cloud", "neither /lib/tiny-cloud nor /usr/lib/tiny-cloud has tiny-cloud's init"),
        ("other", "BOOTSTRAP is other"),
    ],
)
def test_what_is_not_there_is_named(root: Path, tmp_path: Path, bootstrap: str, reason: str) -> None:
    (root / "usr/bin/cloud-init").unlink()
    done = run_functions("set_up_bootstrap", tmp_path, ROOT=str(root), **{**VALUES, "BOOTSTRAP": bootstrap})
    assert done.returncode == 1
    assert f"guest: ERROR: {reason}" in done.stderr


def test_either_layout_of_the_root_is_found(root: Path, tmp_path: Path) -> None:
    (root / "usr/lib/tiny-cloud").mkdir(parents=True)
    (root / "usr/lib/tiny-cloud/init").touch()
    (root / "etc/init.d").mkdir()
    done = run_functions(SET_UP, tmp_path, ROOT=str(root), **{**VALUES, "BOOTSTRAP": "tiny-cloud"})
    assert done.returncode == 0, done.stderr
    assert (root / "usr/lib/tiny-cloud/cloud/outscale/imds").is_file()
    assert (root / "called").read_text().splitlines() == [
        "tiny-cloud --enable",
        "rc-update -q add outscale-instance default",
        "tiny-cloud --bootstrap incomplete",
    ]
