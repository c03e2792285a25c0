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
ROOMS: dict[str, set[str]] = {
    "profile": set(),
    "state": {"profile"},
    "upstream": {"profile"},
    "config": {"state", "profile"},
    "outscale": {"config", "state", "profile"},
    "verify": {"outscale", "profile"},
    "publish": {"upstream", "state", "profile"},
    "build": {"verify", "publish", "outscale", "state", "profile"},
    "plan": {"outscale", "upstream", "config", "state", "profile"},
    "commands": {"build", "publish", "outscale", "state", "config"},
    "cli": {"build", "publish", "plan", "verify", "outscale", "upstream", "config", "state", "profile"},
}
"""What each room of omi may import besides omi.support; what these may import, it may use through them, too. A room
stands below all that may import it.
"""


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


def below(room: str) -> set[str]:
    """The rooms that it may use, and the program's version."""
    return {"support", "__version__"}.union(ROOMS.get(room, set()), *(below(other) for other in ROOMS.get(room, set())))


def rooms_used(path: Path) -> set[str]:
    """The rooms of omi that a file imports from, its own left out."""
    modules = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            modules |= {name.name for name in node.names}
        elif isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
            modules |= {f"{node.module}.{name.name}" for name in node.names}
    used = {module.split(".")[1] for module in modules if module.startswith("omi.")}
    return used - {path.relative_to(TOP / "omi").parts[0]}


@pytest.mark.parametrize("room", [*ROOMS, "support"])
def test_room_imports_only_rooms_below_it(room: str) -> None:
    files = sorted((TOP / "omi" / room).rglob("*.py"))
    assert files
    wrong = {str(path.relative_to(TOP)): used for path in files if (used := rooms_used(path) - below(room))}
    assert wrong == {}


def test_no_room_stands_above_itself() -> None:
    assert [room for room in ROOMS if room in below(room)] == []


def test_nothing_lies_flat_beside_the_rooms() -> None:
    entries = {path.name for path in (TOP / "omi").iterdir() if path.name != "__pycache__"}
    assert entries == {"__init__.py", "__main__.py", "support", *ROOMS}
    assert sum(1 for _ in (TOP / "omi").rglob("__init__.py")) - 1 <= 16


def test_only_the_survey_of_a_plan_asks_outscale() -> None:
    asking = {path.name for path in (TOP / "omi" / "plan").glob("*.py") if "outscale" in rooms_used(path)}
    assert asking == {"survey.py"}


def test_boto3_is_used_in_one_place() -> None:
    users = {
        path.relative_to(TOP).parts[:2]
        for path in (TOP / "omi").rglob("*.py")
        if {"boto3", "botocore"} & set(imported(path))
    }
    assert users <= {("omi", "outscale")}


MACHINE_TIME = {
    "omi/build/packer/gateway.py": "whether a signature was just made",
    "omi/cli/stack_lock.py": "the lock's age, for Pulumi",
    "omi/outscale/pace.py": "the pace of requests",
    "omi/outscale/reaching.py": "how far this machine's clock is off",
    "omi/outscale/refused.py": "how long ago a key was refused",
}
"""What takes this machine's time besides the clock, since it concerns the machine and no image."""


def takes_time(path: Path) -> bool:
    """Whether a file names what gives the time of day: now, today or utcnow of a date, or time.time."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name | ast.Attribute):
            of = node.value.id if isinstance(node.value, ast.Name) else node.value.attr
            if (of in {"date", "datetime", "dt"} and node.attr in {"now", "today", "utcnow"}) or (
                of == "time" and node.attr in {"time", "time_ns", "gmtime", "localtime"}
            ):
                return True
    return False


def test_the_date_is_taken_in_one_place() -> None:
    files = [TOP / "__main__.py", *(path for top in ("omi", "components") for path in (TOP / top).rglob("*.py"))]
    taking = {str(path.relative_to(TOP)) for path in files if takes_time(path)}
    assert taking == {"omi/support/clock.py", *MACHINE_TIME}


def test_the_program_only_wires() -> None:
    program = TOP / "__main__.py"
    assert len(program.read_text(encoding="utf-8").splitlines()) <= 60
    assert set(imported(program)) <= {"pulumi", "components", "omi", "atexit", "gc"}


def test_one_class_name_stands_for_one_thing() -> None:
    places: dict[str, list[str]] = {}
    for path in sorted(path for top in FORBIDDEN for path in (TOP / top).rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.ClassDef):
                places.setdefault(node.name, []).append(str(path.relative_to(TOP)))
    assert {name: found for name, found in places.items() if len(found) > 1} == {}
