"""A docstring's first line says what a thing is or does, so that nobody has to guess the subject."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

TOP = Path(__file__).resolve().parents[1]
PROGRAM = ("__main__.py", "components", "omi", "sandbox", "toolchain", "bench")
_NO_SUBJECT = re.compile(r"(What|Who|Whoever|Those|That which|Of|As)\b")


def docstrings(path: Path) -> Iterator[tuple[int, str]]:
    """Line and text of a module's docstrings, those of its fields and constants among them."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str):
            yield node.lineno, node.value.value.strip()


def test_docstrings_begin_with_their_subject() -> None:
    files = [
        path for name in PROGRAM for path in ([TOP / name] if name.endswith(".py") else (TOP / name).rglob("*.py"))
    ]
    found = [
        f"{path.relative_to(TOP)}:{line}: {text.splitlines()[0]}"
        for path in sorted(files)
        for line, text in docstrings(path)
        if _NO_SUBJECT.match(text)
    ]
    assert len(files) > 200
    assert found == []


def prose(path: Path) -> Iterator[tuple[int, str]]:
    """Lines of a page that are neither code nor a table."""
    in_code = False
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
        in_code ^= line.lstrip().startswith("```")
        if not in_code and not line.startswith("    ") and not line.lstrip().startswith("|"):
            yield number, line


def test_lines_of_prose_have_at_most_100_characters() -> None:
    pages = [path for path in TOP.rglob("*.md") if not {".venv", "build", "node_modules"} & {*path.parts}]
    found = [f"{path.relative_to(TOP)}:{number}" for path in pages for number, line in prose(path) if len(line) > 100]
    assert len(pages) > 40
    assert found == []
