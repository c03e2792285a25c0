"""The files that are made from the models: `python -m omi.cli.generated` renews them, in the project's folder."""

from __future__ import annotations

from pathlib import Path

from omi.cli.findings import Findings
from omi.plan.report import PlanDocument
from omi.profile.reference import editor_schema, guest_reference, reference, renew
from omi.publish.feed import Feed
from omi.publish.fixes import FixesDocument
from omi.publish.outputs import Outputs
from omi.support.json_schema import schema_text
from omi.verify.checks.changes import image_files


def generated(top: Path) -> dict[Path, str]:
    """Each of them as it should be."""
    tables = {
        "profiles/README.md": reference(),
        "guest/README.md": guest_reference(),
        "docs/image-files.md": image_files(),
    }
    schemas = {
        "profiles/profile.schema.json": editor_schema(),
        "omi/publish/feed.schema.json": schema_text(Feed),
        "omi/publish/fixes.schema.json": schema_text(FixesDocument),
        "docs/outputs.schema.json": schema_text(Outputs),
        "docs/findings.schema.json": schema_text(Findings),
        "docs/plan.schema.json": schema_text(PlanDocument),
    }
    pages = {name: renew((top / name).read_text(encoding="utf-8"), table) for name, table in tables.items()}
    return {top / name: text for name, text in {**pages, **schemas}.items()}


if __name__ == "__main__":
    for path, text in generated(Path()).items():
        path.write_text(text, encoding="utf-8")
