"""cloud-init's configuration against cloud-init's own code and schema, and its data source against OUTSCALE's metadata.

The fixture mirror can't carry Alpine's cloud-init; its code is Debian's package, fetched once by apt. Alpine's may be
newer: where Alpine's mirror is reached, the verification of a built image sees the real one.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

import pytest

from omi.verify.checks.changes import OURS
from sandbox.config import default_cache
from sandbox.machines.metadata import MetadataService
from sandbox.machines.protocol import Metadata
from tests.guest.shell import run_functions

pytestmark = pytest.mark.slow

DEBIAN = ("cloud-init", "python3-configobj")
# what of Alpine's own /etc/cloud/cloud.cfg our file has to outdo (cloud-init: config/cloud.cfg.tmpl, variant alpine)
ALPINE = """
users: [default]
disable_root: true
datasource_list: [NoCloud, ConfigDrive, Ec2, None]
ssh_genkeytypes: [rsa, ecdsa, ed25519]
system_info:
  distro: alpine
  default_user:
    name: alpine
    lock_passwd: true
    groups: [adm, wheel]
    doas: [permit nopass alpine]
    sudo: ["ALL=(ALL) NOPASSWD:ALL"]
    shell: /bin/ash
"""


@pytest.fixture(scope="module")
def cloud_init() -> Path:
    """The folder of cloud-init's Python modules."""
    folder = default_cache() / "cloud-init"
    folder.mkdir(parents=True, exist_ok=True)
    for name in DEBIAN:
        if not list(folder.glob(f"{name}_*.deb")):
            done = subprocess.run(
                ["apt-get", "download", "-q", "-o", "APT::Sandbox::User=root", name],
                cwd=folder,
                capture_output=True,
                text=True,
                timeout=120,
                check=False,
            )
            if done.returncode != 0:
                pytest.skip(f"Debian's {name} can't be fetched: {done.stderr.strip().splitlines()[-1:]}")
        for package in folder.glob(f"{name}_*.deb"):
            subprocess.run(["dpkg-deb", "-x", str(package), str(folder / "root")], check=True, timeout=60)
    return folder / "root/usr/lib/python3/dist-packages"


@pytest.fixture
def written(tmp_path: Path) -> str:
    """What the guest's step writes."""
    root = tmp_path / "root"
    for place in ("etc/conf.d", "usr/bin"):
        (root / place).mkdir(parents=True)
    (root / "etc/conf.d/sshd").touch()
    (root / "usr/bin/cloud-init").touch(0o755)
    values = {"BOOTSTRAP": "cloud-init", "USER_NAME": "me", "METADATA_URL": "http://169.254.169.254/latest"}
    done = run_functions("in_root() { :; }; set_up_bootstrap", tmp_path, ROOT=str(root), **values)
    assert done.returncode == 0, done.stderr
    return (root / "etc/cloud/cloud.cfg.d/90_outscale.cfg").read_text()


def ask(modules: Path, folder: Path, written: str, metadata: dict[str, bytes], silent_s: float = 0.0) -> Any:
    """What cloud-init makes of it on a VM that is told this."""
    service = MetadataService(Metadata(metadata), silent_s)
    (folder / "cloud.cfg.d").mkdir()
    (folder / "cloud.cfg").write_text(ALPINE)
    text = written.replace("http://169.254.169.254", f"http://127.0.0.1:{service.port}")
    (folder / "cloud.cfg.d/90_outscale.cfg").write_text(text)
    try:
        done = subprocess.run(
            [sys.executable, str(Path(__file__).with_name("ask_cloud_init.py")), str(folder)],
            env={"PATH": os.environ["PATH"], "PYTHONPATH": str(modules)},
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
    finally:
        service.close()
    assert done.returncode == 0, done.stderr[-3000:]
    return json.loads(done.stdout)


TOLD = {
    "meta-data/instance-id": b"i-00000001",
    "meta-data/local-hostname": b"ip-10-0-0-5.eu-west-2.compute.internal",
    "meta-data/placement/availability-zone": b"eu-west-2a",
    "meta-data/public-keys/0/openssh-key": b"ssh-ed25519 AAAA me\n",
    "user-data": b"#!/bin/sh\n",
}


@pytest.mark.parametrize("late", [0.0, 4.0])
def test_it_finds_outscale_and_takes_what_is_told(cloud_init: Path, written: str, tmp_path: Path, late: float) -> None:
    told = ask(cloud_init, tmp_path, written, TOLD, late)["told"]
    assert told["cloud"] == "outscale"
    assert (told["instance_id"], told["keys"]) == ("i-00000001", ["ssh-ed25519 AAAA me"])
    assert "ip-10-0-0-5" in told["host_name"]
    assert told["user_data"] == "#!/bin/sh\n"
    assert (told["timeout"], told["max_wait"]) == (5, 120)


def test_our_settings_outdo_those_of_alpines_package(cloud_init: Path, written: str, tmp_path: Path) -> None:
    answer = ask(cloud_init, tmp_path, written, TOLD)
    assert answer["config"]["datasource_list"] == ["Ec2"]
    assert answer["config"]["ssh_genkeytypes"] == ["ed25519"]
    assert answer["config"]["disable_root"] is True
    ((name, user),) = answer["users"].items()
    assert (name, user["default"], user["lock_passwd"]) == ("me", True, False)
    assert not user["sudo"], "the image says who becomes root"
    assert not user["doas"]


def test_the_check_of_the_image_knows_the_files_that_it_writes(cloud_init: Path, written: str, tmp_path: Path) -> None:
    files = {file.lstrip("/") for file in ask(cloud_init, tmp_path, written, TOLD)["files"]}
    assert len(files) == 4
    if "etc/profile.d/locale.sh" in files:  # the name in Debian's older cloud-init
        files = files - {"etc/profile.d/locale.sh"} | {"etc/profile.d/50-cloud-init-locale.sh"}
    known = [pattern for pattern, _ in OURS]
    assert {file for file in files if not any(fnmatchcase(file, pattern) for pattern in known)} == set()


def test_a_wrong_setting_would_be_found(cloud_init: Path, written: str, tmp_path: Path) -> None:
    with pytest.raises(AssertionError, match="ssh_genkeytypes"):
        ask(cloud_init, tmp_path, written.replace("[ed25519]", "ed25519"), TOLD)
