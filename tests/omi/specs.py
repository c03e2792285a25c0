"""Specs and records for tests: one small build, everything else overridable."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from omi.profile.model import Access, Target
from omi.state.image import BuildVm, CloudAccess, ImageRecord, ImageSpec, Limits, Recipe
from omi.state.owner import Owner

DIGEST = "sha256:" + "0" * 64
OWNER = Owner("alpine-omi", "test", "0123456789abcdef")


def make_access(**changes: Any) -> CloudAccess:
    """How to reach a cloud on this machine in which nothing listens."""
    values: dict[str, Any] = {"region": "eu-west-2", "api": "https://127.0.0.1:9/api/v1"}
    values |= {"limits": Limits(), "own_key": False}
    return CloudAccess(**{**dict.fromkeys(CloudAccess.model_fields), **values, **changes})


def make_spec(**changes: Any) -> ImageSpec:
    """An ImageSpec of build `a`, release 3.23.6, for a cloud on this machine."""
    build = changes.pop("build", None) or Target(profile="alpine", name="a", version="3.23")
    recipe = Recipe(
        build=build, vm=changes.pop("vm", None) or BuildVm(ssh_port=2222), copy_from=changes.pop("copy_from", None)
    )
    release, revision = changes.get("release", "3.23.6"), changes.get("revision", 0)
    values: dict[str, Any] = {
        "format": 1,
        "project": OWNER.project,
        "stack": OWNER.stack,
        "stack_id": OWNER.stack_id,
        "name": "alpine-3.23.6-x86_64-r0",
        "description": build.image_description(release, revision),
        "profile": build.profile,
        "build": build.name,
        "arch": build.arch,
        "release": release,
        "revision": revision,
        "digest": DIGEST,
        "offered": (),
        "bootstrap": build.bootstrap,
        "user": build.user,
        "access": Access(),
        "cloud": make_access(),
        "releases_dir": "releases",
        "recipe": recipe,
    }
    return ImageSpec(**{**dict.fromkeys(ImageSpec.model_fields), **values, **changes})


def remade(spec: ImageSpec, **recipe: Any) -> ImageSpec:
    """The spec with another `vm` or `copy_from`, or with other values of its build."""
    assert spec.recipe is not None
    parts: dict[str, Any] = {key: recipe.pop(key) for key in ("vm", "copy_from") if key in recipe}
    build = spec.recipe.build.model_copy(update=recipe)
    return spec.model_copy(update={"recipe": spec.recipe.model_copy(update={**parts, "build": build})})


def make_record(**changes: Any) -> ImageRecord:
    """The record of a verified image in a Region's account, with nothing measured."""
    values: dict[str, Any] = {
        "format": 1,
        "name": "alpine-3.23.6-x86_64-r0",
        "omi": "ami-00000001",
        "snapshots": ("snap-00000001",),
        "account": "123456789012",
        "region": "eu-west-2",
        "created": datetime(2026, 11, 23, tzinfo=UTC),
        "volume_size": 1,
        "boot_modes": ("legacy",),
        "verified": True,
        "adopted": False,
    }
    return ImageRecord(**{**dict.fromkeys(ImageRecord.model_fields), **values, **changes})
