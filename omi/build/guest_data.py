"""Writes the folder that the guest's scripts read in the build VM: `image.env`, keys, setup script and copies."""

from __future__ import annotations

import hashlib
import shlex
import shutil
from collections.abc import Mapping
from itertools import starmap
from pathlib import Path

from omi.build.origin import Origin
from omi.profile.content import (
    HOSTNAME,
    ROOT_LABEL,
    install_repositories,
    package_lines,
    repository_line,
    repository_lines,
)
from omi.profile.model import RUNLEVELS, guest_names
from omi.profile.signing import check_public_key, trusted_keys
from omi.state.image import ImageSpec
from omi.support.errors import BuildError, ProfileError
from omi.support.reading import why_unread
from omi.verify.facts import probe_script_at_rest

DISK_DEVICE = "/dev/xvdf"
"""The device name of the build's volume (OUTSCALE's naming); the guest finds the disk behind it."""
METADATA_URL = "http://169.254.169.254/latest"
"""OUTSCALE's metadata service, EC2-shaped and without tokens."""


def write_guest_data(spec: ImageSpec, origin: Origin, profiles_root: Path, target: Path) -> None:
    """Write the folder `target` for the guest's scripts, in place of an earlier run's.

    - `image.env`: assignments for sh, each value quoted, lists one item a line
    - `keys/NAME.rsa.pub`: who may sign packages
    - `probe.sh`: what omi.verify wants to know of the finished root
    - `setup_script`, `setup/`: the profile's script and the files it is run among

    Raises SettingsError if a trusted key is missing, ProfileError if a key isn't one or a setup file has changed since
    the profile was read, and BuildError if the folder can't be written.
    """
    keys = {**spec.target.keys, **trusted_keys(spec.vm.trusted_keys, spec.target.keys)}
    for name, text in keys.items():
        try:
            check_public_key(text)
        except ValueError as error:
            raise ProfileError(f"profile {spec.profile}: keys.{name}: the file {error}; put it right") from error
    files = {path: read_setup_file(spec, profiles_root, path) for path in spec.target.setup_files}
    try:
        _empty(target)
        (target / "image.env").write_text(env_text(guest_values(spec, origin)), encoding="utf-8")
        (target / "probe.sh").write_text(probe_script_at_rest(), encoding="utf-8")
        for name, text in keys.items():
            (target / "keys" / name).write_text(text, encoding="ascii")
        if spec.target.setup_script is not None:
            _write(target / "setup_script", files[spec.target.setup_script], executable=True)
        for name, path in spec.target.setup_copy.items():
            _write(target / "setup" / name, files[path], executable=spec.target.setup_files[path].executable)
    except OSError as error:
        raise BuildError(
            f"{error.filename or target}: cannot be written: {error.strerror}; make room or correct its owner"
        ) from error


def guest_values(spec: ImageSpec, origin: Origin) -> dict[str, str]:
    """The values of `image.env` by name: the profile's keys as they are, and values derived from them."""
    build = spec.target
    mirrored = install_repositories(build, spec.vm.mirror)
    return {
        **{name: _text(getattr(build, key)) for name, key in guest_names()},
        **{f"SERVICES_{level.upper()}": _text(build.services.get(level, ())) for level in RUNLEVELS},
        "IMAGE_NAME": spec.name,
        "RELEASE": spec.release,
        "BRANCH": build.branch,
        "MIRROR": spec.vm.mirror,
        "DISK_SIZE_BYTES": str(build.volume_size * 1024**3),
        "DISK_DEVICE": DISK_DEVICE,
        "ROOT_LABEL": ROOT_LABEL,
        "HOSTNAME": HOSTNAME,
        "IMAGE_KEYS": _text(tuple(build.keys)),
        "REPOSITORIES": _text(repository_lines(build)),
        "INSTALL_REPOSITORIES": _text(list(starmap(repository_line, mirrored.items()))),
        "PACKAGES": _text(package_lines(build)),
        "METADATA_URL": METADATA_URL,
        "SETUP_SCRIPT": "setup_script" if build.setup_script else "",
        "SETUP_NAME": build.setup_script or "",
        "PROFILE": build.profile,
        "BUILD": build.name,
        "REVISION": f"r{spec.revision}",
        "DIGEST": spec.digest,
        "COMMIT": origin.commit,
        "TOOLS": ", ".join(f"{name} {version}" for name, version in origin.tools.items()),
    }


def _text(value: object) -> str:
    """A value as the guest reads it: lists and maps one entry a line, nothing for None."""
    if isinstance(value, Mapping):
        return "\n".join(f"{name} = {each}" for name, each in value.items())
    if isinstance(value, list | tuple):
        return "\n".join(value)
    return "" if value is None else str(value).rstrip("\n")


def env_text(values: Mapping[str, str]) -> str:
    """Assignments that any POSIX sh reads back as exactly these values."""
    return "".join(f"{name}={shlex.quote(value)}\n" for name, value in values.items())


def read_setup_file(spec: ImageSpec, root: Path, path: str) -> bytes:
    """Read a file that the profile names; ProfileError if it has changed since the profile was read."""
    try:
        data = (root / path).read_bytes()
    except OSError as error:
        raise ProfileError(f"{root / path}: {why_unread(root / path, error)}") from error
    if hashlib.sha256(data).hexdigest() != spec.target.setup_files[path].sha256:
        raise ProfileError(f"{root / path}: changed since {spec.name} was planned; run `pulumi up` again")
    return data


def _empty(target: Path) -> None:
    for name in ("keys", "setup"):
        if (target / name).exists():
            shutil.rmtree(target / name)
        (target / name).mkdir(parents=True)
    (target / "setup_script").unlink(missing_ok=True)


def _write(path: Path, data: bytes, *, executable: bool) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    path.chmod(0o755 if executable else 0o644)
