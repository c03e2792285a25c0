"""Packer's inputs: its variables (a file without secrets), its environment, and its uploads."""

from __future__ import annotations

import json
import os
import re
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from omi.build.packer.gateway import Gateway
from omi.build.packer.tools import PackerTools
from omi.state.identity import Identity
from omi.state.image import ImageSpec
from omi.support.places import file_name_of

TEMPLATE = Path(__file__).with_name("alpine.pkr.hcl")
_COVERED = re.compile(r"^( *)#since 1\.6: ", re.MULTILINE)
"""Hides a line of the template from plugins that would refuse it."""


@dataclass(frozen=True)
class PackerVm:
    """Packer's VM: the way in (private key's file, keypair's name, security group's id) and its OMI's id."""

    key_file: Path
    keypair_name: str
    security_group_id: str
    source_omi: str


@dataclass(frozen=True)
class RunFolder:
    """The folder of one image's runs, below `build/`."""

    path: Path

    @property
    def packer_log(self) -> Path:
        """Packer's whole output."""
        return self.path / "packer.log"

    @property
    def build_log(self) -> Path:
        """The log of progress lines and of longer output."""
        return self.path / "build.log"

    @property
    def manifest(self) -> Path:
        """Packer's manifest, a new one in each run."""
        return self.path / "manifest.json"

    @property
    def variables(self) -> Path:
        """Packer's variables."""
        return self.path / "variables.pkrvars.json"

    @property
    def template(self) -> Path:
        """The template, in the form that the installed plugin takes."""
        return self.path / TEMPLATE.name

    @property
    def upload(self) -> Path:
        """The files for the build VM; the template knows this folder's name."""
        return self.path / "omi-build"

    @property
    def output(self) -> Path:
        """The guest scripts' results, a new folder in each run."""
        return self.path / "output"

    @property
    def documents(self) -> Path:
        """The image's documents, until they are in the releases folder."""
        return self.path / "documents"

    def tidy(self) -> None:
        """Remove files that only a run in progress needs: private keys, uploads, Packer's home."""
        for key in self.path.glob("alpine-omi-*"):
            key.unlink(missing_ok=True)
        for leftover in (self.upload, *self.path.glob("packer-*")):
            shutil.rmtree(leftover, ignore_errors=True)


def run_folder(build: Path, spec: ImageSpec) -> RunFolder:
    """The run folder of an image. Each stack has its own in `build`, since their images may share names."""
    return RunFolder(build / spec.stack / file_name_of(spec.run))


@contextmanager
def temporary_folder(folder: RunFolder) -> Iterator[Path]:
    """Packer's home and TMPDIR, readable by the owner only and removed at the end."""
    with tempfile.TemporaryDirectory(prefix="packer-", dir=folder.path) as path:
        yield Path(path)


def write_variables(
    folder: RunFolder, identity: Identity, tools: PackerTools, entry: PackerVm, gateway: Gateway, omi_name: str
) -> None:
    """Write the template's variables, readable by the owner only."""
    spec = identity.spec
    values = {
        "region": spec.cloud.region,
        "endpoint": tools.endpoint(gateway.api, spec.cloud.region),
        "source_omi": entry.source_omi,
        "vm_type": spec.vm.vm_type,
        "subregion": spec.vm.subregion or "",
        "subnet": spec.vm.subnet or "",
        "ssh_username": spec.vm.ssh_user,
        "ssh_port": spec.vm.ssh_port,
        "key_file": str(entry.key_file),
        "keypair_name": entry.keypair_name,
        "security_group_id": entry.security_group_id,
        "omi_name": omi_name,
        "omi_description": identity.description,
        "boot_modes": spec.target.boot_modes,
        "volume_size": spec.target.volume_size,
        "volume_type": spec.vm.volume_type,
        "run_tags": dict(identity.run_tags),
        "tags": dict(identity.tags),
        "upload": str(folder.upload),
        "output": str(folder.output),
        "manifest": str(folder.manifest),
    }
    folder.variables.unlink(missing_ok=True)
    handle = os.open(folder.variables, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(handle, "w", encoding="utf-8") as file:
        json.dump({name: _literal(value) for name, value in values.items()}, file, indent=1, sort_keys=True)


def _literal(value: Any) -> Any:
    """The value escaped so that Packer's templates (`{{ }}`, in nearly every text) give it back unchanged."""
    if isinstance(value, str):
        return value.replace("{{", "{{`{{`}}")
    if isinstance(value, dict):
        return {key: _literal(inner) for key, inner in value.items()}
    return value


def write_template(folder: RunFolder, tools: PackerTools) -> None:
    """Write the template, with boot modes if the plugin knows them."""
    text = TEMPLATE.read_text(encoding="utf-8")
    folder.template.write_text(text if tools.is_old else _COVERED.sub(r"\1", text), encoding="utf-8")


def packer_environment(
    environ: Mapping[str, str], temporary: Path, tools: PackerTools, gateway: Gateway
) -> dict[str, str]:
    """Packer's whole environment: the gateway's key and certificate, and its folders. It lacks the account's key.

    Packer runs in the run's folder. TMPDIR is relative to it: plugins' sockets are there, and a socket's path may have
    only 107 bytes, however long the path to the checkout is.
    """
    return {
        **({"PATH": environ["PATH"]} if "PATH" in environ else {}),
        "SSL_CERT_FILE": str(gateway.certificate.absolute()),
        "HOME": str(temporary),
        "TMPDIR": temporary.name,
        "LC_ALL": "C.UTF-8",
        "CHECKPOINT_DISABLE": "1",
        "PACKER_CONFIG_DIR": str(temporary),
        "PACKER_PLUGIN_PATH": tools.plugin_folder,
        "OSC_ACCESS_KEY": gateway.credentials.access_key,
        "OSC_SECRET_KEY": gateway.credentials.secret_key,
    }


def stage_guest(folder: RunFolder, guest: Path) -> Path:
    """Copy the guest scripts to the upload; returns the empty data folder beside them."""
    shutil.rmtree(folder.upload, ignore_errors=True)
    shutil.copytree(guest, folder.upload / "guest", ignore=shutil.ignore_patterns("__pycache__", "*.md"))
    data = folder.upload / "data"
    data.mkdir()
    return data
