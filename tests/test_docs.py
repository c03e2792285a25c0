"""The documentation keeps to what there is: its commands, their options, and its links exist."""

from __future__ import annotations

import re
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

import pytest
import typer

from omi.cli.main import _app
from omi.commands.__main__ import COMMANDS as PULUMIS
from sandbox.__main__ import _parser

TOP = Path(__file__).resolve().parents[1]
PAGES = sorted(
    path
    for folder in ("docs", "examples", "guest", "omi/verify", "profiles", "sandbox")
    for path in (TOP / folder).rglob("*.md")
)
PAGES.insert(0, TOP / "README.md")
COMMAND = re.compile(r"\bpython3? -m ([a-z_.]+)((?: [^\s`#|&;)]+)*)")
LINK = re.compile(r"\]\(([^)\s]+)\)")
FENCE = re.compile(r"^```.*?^```", re.MULTILINE | re.DOTALL)

each_page = pytest.mark.parametrize("page", PAGES, ids=lambda path: str(path.relative_to(TOP)))


def anchors(page: Path) -> set[str]:
    """The anchors of a page's headings, as GitHub makes them."""
    text = FENCE.sub("", page.read_text(encoding="utf-8"))
    titles = re.findall(r"^#+ (.*)$", text, re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}


def commands(page: Path) -> Iterator[tuple[str, list[str]]]:
    """Module and arguments of every `python -m` of a page."""
    text = page.read_text(encoding="utf-8").replace("\\\n", " ")
    for module, words in COMMAND.findall(text):
        yield module.rstrip("."), [word.strip("[]…,.:") for word in words.split()]


def wrong(module: str, words: list[str]) -> str | None:
    """What of a command doesn't exist."""
    if find_spec(module) is None:
        return f"module {module}"
    options = {word.partition("=")[0] for word in words if word.startswith("-") and word != "-"}
    names = [word for word in words if re.fullmatch(r"[a-z]+", word)]
    if module == "omi" and names:
        known = getattr(typer.main.get_command(_app()), "commands", {})
        if names[0] not in known:
            return f"omi {names[0]}"
        own = {"--help"}.union(*(param.opts for param in known[names[0]].params))
        return next((f"omi {names[0]} {each}" for each in options - own), None)
    if module == "sandbox" and names:
        whole = _parser()
        known = next(dict(action.choices) for action in whole._actions if isinstance(action.choices, dict))
        if names[0] not in known:
            return f"sandbox {names[0]}"
        own = {name for parser in (known[names[0]], whole) for name in parser._option_string_actions}
        return next((f"sandbox {names[0]} {each}" for each in options - own), None)
    if module == "omi.commands" and names and not set(names[0].split("|")) <= set(PULUMIS):
        return f"omi.commands {names[0]}"
    return None


@each_page
def test_its_commands_exist(page: Path) -> None:
    assert [found for module, words in commands(page) if (found := wrong(module, words))] == []


@each_page
def test_its_make_targets_exist(page: Path) -> None:
    targets = set(re.findall(r"^([a-z-]+):", (TOP / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))
    named = re.findall(r"(?:^|`)make ([a-z-]+)", page.read_text(encoding="utf-8"), re.MULTILINE)
    assert set(named) <= targets


@each_page
def test_its_links_lead_somewhere(page: Path) -> None:
    broken = []
    for link in LINK.findall(FENCE.sub("", page.read_text(encoding="utf-8"))):
        place, _, anchor = link.partition("#")
        if "://" in link:
            continue
        target = (page.parent / place).resolve() if place else page
        if not target.exists() or (anchor and anchor not in anchors(target)):
            broken.append(link)
    assert broken == []
