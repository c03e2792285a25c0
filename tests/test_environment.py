"""Whoever starts a program says which variables it gets: the account's key is not for each of them."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

TOP = Path(__file__).resolve().parents[1]
STARTERS = {
    "subprocess": {"Popen", "call", "check_call", "check_output", "getoutput", "getstatusoutput", "run"},
    "asyncio": {"create_subprocess_exec", "create_subprocess_shell"},
    "pty": {"spawn"},
    "os": {"execv", "execve", "execvp", "execvpe", "popen", "posix_spawn", "posix_spawnp", "system"}
    | {f"{verb}{end}" for verb in ("exec", "spawn") for end in ("l", "le", "lp", "lpe")}
    | {f"spawn{end}" for end in ("v", "ve", "vp", "vpe")},
}
CHOSEN = {"without_keys", "without", "plain"}
"""Functions that choose an environment."""
PLACE = {"os.execve": 2}
"""Where the environment is an argument without a name."""


def starts(tree: ast.AST) -> Iterator[tuple[ast.Call, str]]:
    """Each call that starts a program, with its name."""
    for node in ast.walk(tree):
        match node:
            case ast.Call(func=ast.Attribute(value=ast.Name(id=module), attr=name)) if name in STARTERS.get(module, ()):
                yield node, f"{module}.{name}"


def copies(tree: ast.AST) -> Iterator[str]:
    """Variables that hold all of an environment with something added, which a call could be given."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Dict) and any(
            key is None and inherits(value) for key, value in zip(node.keys, node.values, strict=True)
        ):
            yield f"a copy in line {node.lineno}"


def hidden(tree: ast.AST) -> Iterator[str]:
    """Imports by which such a call would bear another name."""
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.module in STARTERS:
            yield from (f"{node.module}.{name.name}" for name in node.names if name.name in STARTERS[node.module])
        elif isinstance(node, ast.Import):
            yield from (name.name for name in node.names if name.name in STARTERS and name.asname)


def environment_of(call: ast.Call, name: str) -> ast.expr | None:
    """The expression of the environment that a call gives; None where the program inherits ours."""
    named = next((keyword.value for keyword in call.keywords if keyword.arg == "env"), None)
    place = PLACE.get(name, len(call.args))
    return named or (call.args[place] if place < len(call.args) else None)


def inherits(given: ast.expr | None) -> bool:
    """Whether it is all of our own environment, or with something added."""
    if given is None or (isinstance(given, ast.Constant) and given.value is None):
        return True
    inner = {id(node) for part in ast.walk(given) if _chooses(part) for node in ast.walk(part)}
    return any(
        id(node) not in inner and "environ" in (getattr(node, "attr", None), getattr(node, "id", None))
        for node in ast.walk(given)
    )


def _chooses(node: ast.AST) -> bool:
    """Whether it takes some of an environment: by a function for it, or one by name."""
    called = isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in CHOSEN
    return called or isinstance(node, ast.Subscript | ast.Compare)


def wrong(text: str) -> list[str]:
    tree = ast.parse(text)
    calls = [f"{name} in line {call.lineno}" for call, name in starts(tree) if inherits(environment_of(call, name))]
    return [*calls, *copies(tree), *hidden(tree)]


@pytest.mark.parametrize("layer", ["omi", "components", "sandbox"])
def test_every_program_is_given_its_environment(layer: str) -> None:
    files = sorted((TOP / layer).rglob("*.py"))
    assert files
    found = {str(path.relative_to(TOP)): wrong(path.read_text(encoding="utf-8")) for path in files}
    assert {path: lines for path, lines in found.items() if lines} == {}


@pytest.mark.parametrize(
    "text",
    [
        "subprocess.run(['git'])",
        "subprocess.run(['git'], env=None)",
        "subprocess.run(['git'], env=os.environ)",
        "subprocess.Popen(['git'], env={**environ, 'LC_ALL': 'C'})",
        "os.execv('/bin/ssh', [])",
        "environment = {**os.environ, 'LC_ALL': 'C'}",
        "from subprocess import run",
        "import subprocess as s",
    ],
)
def test_an_inherited_environment_is_noticed(text: str) -> None:
    assert wrong(text)


def test_a_chosen_environment_passes() -> None:
    assert wrong("subprocess.run(['git'], env={**without_keys(os.environ), 'LC_ALL': 'C'})") == []
    assert wrong("os.execve('/bin/ssh', [], plain())") == []
