"""The layers of the house: who may import whom."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

TOP = Path(__file__).resolve().parents[1]
FORBIDDEN = {
    "omi": {"pulumi", "pulumi_command", "components", "sandbox", "toolchain"},
    "components": {"boto3", "botocore", "sandbox", "toolchain"},
    "sandbox": {"omi", "components", "pulumi", "pulumi_command", "toolchain"},
    "toolchain": {"omi", "components", "sandbox"},
}


def imported(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (name.name.split(".")[0] for name in node.names)
        elif isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
            yield node.module.split(".")[0]


@pytest.mark.parametrize("layer", sorted(FORBIDDEN))
def test_layer_imports_only_what_lies_below_it(layer: str) -> None:
    files = sorted((TOP / layer).rglob("*.py"))
    assert files
    wrong = {
        str(path.relative_to(TOP)): sorted(set(imported(path)) & FORBIDDEN[layer])
        for path in files
        if set(imported(path)) & FORBIDDEN[layer]
    }
    assert wrong == {}


def test_boto3_is_used_in_one_place() -> None:
    users = {
        path.relative_to(TOP).parts[:2]
        for path in (TOP / "omi").rglob("*.py")
        if {"boto3", "botocore"} & set(imported(path))
    }
    assert users <= {("omi", "outscale")}


def test_the_program_only_wires() -> None:
    program = TOP / "__main__.py"
    assert len(program.read_text(encoding="utf-8").splitlines()) <= 60
    assert set(imported(program)) <= {"pulumi", "components", "omi", "atexit", "gc"}
