"""The table of docs/image-files.md, made from the checks: `python -m omi.verify.reference` renews it."""

from __future__ import annotations

from pathlib import Path

from omi.profile.reference import renew
from omi.verify.checks.changes import OURS

PAGE = Path("docs/image-files.md")


def image_files() -> str:
    """Every file that differs from its package, and why."""
    rows = [f"| `/{path}` | {why} |" for path, why in OURS]
    return "\n".join(["| file | what differs, and why |", "|---|---|", *rows])


if __name__ == "__main__":
    PAGE.write_text(renew(PAGE.read_text(encoding="utf-8"), image_files()), encoding="utf-8")
