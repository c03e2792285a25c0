"""The text that a profile of one's own begins with."""

from __future__ import annotations

from pathlib import Path

from omi.support.errors import ProfileError
from omi.support.version import EDGE, version_key

_TEXT = """\
# yaml-language-server: $schema=profile.schema.json
# Lines that begin with # and a key are examples: take the # away. README.md in this folder has every key.
# `python -m omi profile check {name}` finds what is wrong with it.

# Ends the names of its OMIs, so that they differ from those of other profiles.
suffix: -{name}
#description: Alpine Linux for {name}

#volume_size: 2 # GiB
#user: admin # who logs in by SSH
#privileges: sudo

# Packages besides those of base/1.yaml; false takes one away. A preview names those that don't exist.
#packages:
#  nginx: true

# Services that start at boot, by runlevel.
#services:
#  default: {{nginx: true}}

# What may listen besides sshd; anything else that does fails the check of the image.
#ports: {{80/tcp: true}}

# A POSIX sh script that runs last in the image, and a check of your own that runs in a VM of it: files of this folder.
#setup_script: setup/{name}.sh
#tests: {{{name}: setup/{name}-test.sh}}

# The images to build, by names that you choose, each with its branch of Alpine.
builds:
  {build}: {{version: "{version}"}}
"""


def start_of_profile(name: str, version: str | None, root: Path) -> str:
    """A profile that is whole as it is, with one build, of a version that `root` knows; None is the newest.

    Raises ProfileError.
    """
    known = sorted({path.stem for path in (root / "version").glob("*.yaml")} - {EDGE}, key=version_key)
    if not known:
        raise ProfileError(f"{root / 'version'}: at least one profile is missing; bring it back from git")
    if version is not None and version not in known:
        raise ProfileError(f"version {version!r} has no profile in {root / 'version'}; there are: {', '.join(known)}")
    version = version or known[-1]
    return _TEXT.format(name=name, version=version, build=f"v{version.replace('.', '_')}-x86_64")
