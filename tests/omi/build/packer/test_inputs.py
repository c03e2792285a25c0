from __future__ import annotations

import json
import os
import stat
import subprocess
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from omi.build.packer.gateway import Gateway
from omi.build.packer.inputs import (
    PackerVm,
    RunFolder,
    packer_environment,
    stage_guest,
    temporary_folder,
    write_template,
    write_variables,
)
from omi.build.packer.tools import PackerTools, find_tools
from omi.outscale.credentials import Credentials
from omi.state.identity import Identity
from omi.support.errors import ToolError
from tests.omi.specs import make_spec, remade

TOOLS = PackerTools("packer", "/plugins", (1, 0, 2))
GATEWAY = Gateway("https://127.0.0.1:9/api/v1", Credentials("AKTEST", "hushhush"), Path("gateway.pem"))


def test_variables_hold_no_secret_and_are_the_owners_alone(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path)
    write_variables(
        folder,
        Identity(make_spec()),
        TOOLS,
        PackerVm(tmp_path / "key", "pair", "sg-1", "ami-00000001"),
        GATEWAY,
        "alpine-test",
    )
    values = json.loads(folder.variables.read_text())
    assert stat.S_IMODE(folder.variables.stat().st_mode) == 0o600
    assert values["endpoint"] == "alpine-omi@127.0.0.1:9/api/v1"
    assert values["tags"]["release"] == "3.23.6"
    assert values["tags"]["build-id"] == values["run_tags"]["build-id"]
    assert "hushhush" not in folder.variables.read_text()


def test_environment_is_small_and_trusts_the_gateway_alone(tmp_path: Path) -> None:
    environ = {"PATH": "/bin", "SECRET_OF_ANOTHER": "x", "SSL_CERT_FILE": "/system.pem", "PACKER_LOG": "1"}
    environment = packer_environment({**environ, "HTTPS_PROXY": "http://proxy"}, tmp_path, TOOLS, GATEWAY)
    assert environment["SSL_CERT_FILE"] == str(Path("gateway.pem").absolute())
    assert environment["OSC_SECRET_KEY"] == "hushhush"
    assert not {"SECRET_OF_ANOTHER", "PACKER_LOG", "HTTPS_PROXY"} & set(environment)


def test_staging_replaces_what_an_earlier_run_left(tmp_path: Path) -> None:
    guest = tmp_path / "guest"
    guest.mkdir()
    (guest / "build.sh").write_text("true\n")
    folder = RunFolder(tmp_path / "run")
    (folder.upload / "data").mkdir(parents=True)
    (folder.upload / "data" / "stale").write_text("")
    data = stage_guest(folder, guest)
    assert list(data.iterdir()) == []
    assert (folder.upload / "guest" / "build.sh").read_text() == "true\n"


def test_template_is_valid_for_the_installed_plugin(tmp_path: Path) -> None:
    validate_templates(RunFolder(tmp_path), ("standard", "gp2"))


def validate_templates(folder: RunFolder, volume_types: tuple[str, ...]) -> None:
    """By Packer itself, which starts the plugin and speaks to it through a socket."""
    try:
        tools = find_tools(os.environ)
    except ToolError as error:
        pytest.skip(f"Packer and the OUTSCALE plugin are needed: {error}")
    folder.upload.mkdir()
    key = folder.path / "key"
    key.write_bytes(Ed25519PrivateKey.generate().private_bytes(Encoding.PEM, PrivateFormat.OpenSSH, NoEncryption()))
    for volume_type in volume_types:
        spec = make_spec()
        subnet = "subnet-00000001" if volume_type == "gp2" else None
        spec = remade(spec, vm=spec.vm.model_copy(update={"volume_type": volume_type, "subnet": subnet}))
        write_variables(
            folder, Identity(spec), tools, PackerVm(key, "pair", "sg-00000001", "ami-00000001"), GATEWAY, spec.name
        )
        write_template(folder, tools)
        with temporary_folder(folder) as home:
            done = subprocess.run(
                [tools.packer, "validate", f"-var-file={folder.variables}", str(folder.template)],
                cwd=folder.path,
                env=packer_environment(os.environ, home, tools, GATEWAY),
                capture_output=True,
                text=True,
                timeout=120,
                check=False,
            )
        assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize(
    ("firmware", "modes"), [("bios", ["legacy"]), ("uefi", ["uefi"]), ("hybrid", ["legacy", "uefi"])]
)
def test_boot_modes_reach_the_plugins_that_know_them(tmp_path: Path, firmware: str, modes: list[str]) -> None:
    spec = make_spec()
    spec = remade(spec, firmware=firmware)
    folder, entry = RunFolder(tmp_path), PackerVm(tmp_path / "key", "pair", "sg-1", "ami-00000001")
    write_variables(folder, Identity(spec), TOOLS, entry, GATEWAY, spec.name)
    assert json.loads(folder.variables.read_text())["boot_modes"] == modes
    option = "\n  omi_boot_modes = var.boot_modes\n"
    write_template(folder, PackerTools("packer", "/plugins", (1, 6, 1)))
    assert folder.template.read_text().count(option) == 1
    write_template(folder, TOOLS)
    assert option not in folder.template.read_text(), "plugin 1.0.2 would refuse the template"


def test_what_a_killed_run_left_of_packers_home_is_removed_by_the_next(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path)
    killed = temporary_folder(folder)  # its end never comes
    (killed.__enter__() / "plugin-socket").write_text("")
    folder.tidy()
    assert list(tmp_path.iterdir()) == []


def test_packers_home_is_the_owners_alone(tmp_path: Path) -> None:
    with temporary_folder(RunFolder(tmp_path)) as home:
        assert stat.S_IMODE(home.stat().st_mode) == 0o700
    assert list(tmp_path.iterdir()) == []


def test_packer_and_its_plugin_work_in_a_checkout_whose_path_is_longer_than_a_socket_may_have(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path / ("checkout-" * 17) / "run")
    folder.path.mkdir(parents=True)
    validate_templates(folder, ("standard",))
    tools = find_tools(os.environ)
    assert tools.plugin_version
