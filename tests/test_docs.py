"""The documentation keeps to what there is: its commands, their options, and its links exist."""

from __future__ import annotations

import re
import subprocess
import textwrap
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

import pytest
import typer
import yaml

from omi.cli.main import _app
from omi.commands.__main__ import COMMANDS as PULUMIS
from omi.config.settings import Level, Retention, Settings, SharedDays
from omi.state.image import BuildVm, Limits
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
BLOCK = re.compile(r"^ *```(\w+)\n(.*?)^ *```", re.MULTILINE | re.DOTALL)
FENCE = re.compile(r"^```.*?^```", re.MULTILINE | re.DOTALL)

SHELL = re.compile(r"\.|allow(\(\))?|cd|echo|export|for|set|sudo|unset|}|[A-Za-z_]+=.*")
PROGRAMS = re.compile(
    r"\$aws|chmod|cp|curl|diff|gh|git|jq|make|mkdir|osc-cli|pulumi|python|ssh|ssh-keygen|(curl-jq/latest-omi|verify)\.sh"
    "|wget"
)

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
        found, path = typer.main.get_command(_app()), "omi"
        while known := getattr(found, "commands", {}):
            path += f" {(name := names.pop(0) if names else '')}"
            if name not in known:
                return path
            found = known[name]
        own = {"--help"}.union(*(param.opts for param in found.params))
        return next((f"{path} {each}" for each in options - own), None)
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


def blocks(page: Path, *languages: str) -> list[str]:
    """The page's blocks of code in these languages."""
    text = page.read_text(encoding="utf-8")
    return [textwrap.dedent(code) for language, code in BLOCK.findall(text) if language in languages]


@each_page
def test_its_blocks_of_code_can_be_copied(page: Path) -> None:
    for code in blocks(page, "yaml"):
        assert yaml.safe_load(code)
    for code in blocks(page, "sh"):
        lines = code.replace("\\\n", " ").splitlines()
        words = {line.split()[0] for line in lines if line.strip() and line[0] not in " #"}
        assert {word for word in words if not (SHELL.fullmatch(word) or PROGRAMS.fullmatch(word))} == set()
        subprocess.run(["sh", "-n"], input=code, text=True, check=True, timeout=10)


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


def rows(page: str) -> dict[str, str]:
    """Each name in the first column of a page's tables, and the rest of its row."""
    lines = re.findall(r"^\| (`.*?) \| (.*) \|$", (TOP / "docs" / page).read_text(encoding="utf-8"), re.MULTILINE)
    return {name: rest for first, rest in lines for name in re.findall(r"`([^`]+)`", first)}


def test_every_setting_is_explained_with_its_default() -> None:
    listed = rows("settings.md")
    text = " ".join((TOP / "docs" / "settings.md").read_text(encoding="utf-8").split())
    assert set(Settings.model_fields) <= set(listed)
    levels = {f"{level}.{key}" for level in ("revision", "release") for key in ("keep", "builds")}
    levels |= {f"end_of_life.{key}" for key in Level.model_fields}
    stages = {f"stages.{access}.{key}" for access in ("shared", "private") for key in SharedDays.model_fields}
    plain = set(Retention.model_fields) - {"revision", "release", "end_of_life", "stages"}
    assert levels | stages | plain <= set(listed)
    for_tests = {"accept_stubs"}
    assert set(BuildVm.model_fields) - for_tests <= set(listed)
    assert {f"`{key}` ({value})" for key, value in Limits()} <= set(re.findall(r"`\w+` \(\d+\)", text))
    assert f"| {Retention().max_prunes} |" in f"| {listed['max_prunes']}"
    for key, days in SharedDays():
        assert listed[f"stages.shared.{key}"].startswith(f"{days} |")
