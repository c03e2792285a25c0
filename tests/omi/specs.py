"""Specs for tests: one small build, everything else overridable."""

from __future__ import annotations

from typing import Any

from omi.image import BuildVm, CloudAccess, ImageSpec
from omi.owner import Owner
from omi.profile.model import Access, Build

DIGEST = "sha256:" + "0" * 64
OWNER = Owner("alpine-omi", "test", "0123456789abcdef")


def make_spec(**changes: Any) -> ImageSpec:
    """An ImageSpec of build `a`, release 3.23.6, for a cloud on this machine."""
    values: dict[str, Any] = {
        "project": OWNER.project,
        "stack": OWNER.stack,
        "stack_id": OWNER.stack_id,
        "name": "alpine-3.23.6-x86_64-r0",
        "release": "3.23.6",
        "revision": 0,
        "digest": DIGEST,
        "build": Build(profile="alpine", name="a", version="3.23"),
        "access": Access(),
        "cloud": CloudAccess(region="eu-west-2", api="https://127.0.0.1:9/api/v1"),
        "vm": BuildVm(ssh_port=2222),
    }
    return ImageSpec(**{**values, **changes})
