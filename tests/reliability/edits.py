"""What a person changes in files and states, and the names of a case's images."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import yaml

from tests.reliability.ring import OLD, Round, name_of

ONE, TWO, ONE_OLD, TWO_OLD = name_of("one"), name_of("two"), name_of("one", OLD), name_of("two", OLD)
Deed = Callable[[Round], object]


def configure(at: Round, key: str, value: Any) -> None:
    """Set one of the stack's settings."""
    _edit_config(at, lambda config: config.update({f"alpine-omi:{key}": value}))


def use_key_of(at: Round, profile: str) -> None:
    """Have the stack use another profile of the credentials."""
    _edit_config(at, lambda config: config["alpine-omi:cloud"].update(osc_profile=profile))


def _edit_config(at: Round, change: Callable[[dict[str, Any]], object]) -> None:
    path = at.project.folder / "stacks" / f"Pulumi.{at.stack}.yaml"
    content = yaml.safe_load(path.read_text(encoding="utf-8"))
    change(content["config"])
    path.write_text(yaml.safe_dump(content), encoding="utf-8")


def edit_builds(at: Round, change: Callable[[dict[str, Any]], object]) -> None:
    """Change the profile's builds."""
    path = at.project.folder / "profiles" / "alpine.yaml"
    content = yaml.safe_load(path.read_text(encoding="utf-8"))
    change(content["builds"])
    path.write_text(yaml.safe_dump(content), encoding="utf-8")


def keep_one(at: Round) -> None:
    """Keep one release of each build."""
    configure(at, "retention", {"release": {"keep": 1}})
    at.up()


def destroy(at: Round) -> None:
    """Destroy without questions."""
    at.pulumi("destroy", "--yes", "--skip-preview")


def then(*deeds: Deed) -> Deed:
    """One after the other."""
    return lambda at: [deed(at) for deed in deeds]
