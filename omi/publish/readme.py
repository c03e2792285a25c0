"""The README beside the releases files, for the people who launch the images."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from urllib.parse import quote

from jinja2 import Environment, PackageLoader, StrictUndefined

from omi.publish.documents.kinds import SUFFIXES, file_name
from omi.publish.entry import Entry, newest_first
from omi.support.errors import one_line


def render_readme(profiles: Mapping[str, Sequence[Entry]]) -> str:
    """Markdown: a section per profile, its images newest first; the same entries give the same bytes."""
    environment = Environment(
        loader=PackageLoader("omi.publish"),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        autoescape=False,  # noqa: S701 - Markdown, whose escapes are others
        finalize=_escaped,
    )
    environment.globals["documents"] = _links
    sections = {name: newest_first(entries) for name, entries in sorted(profiles.items()) if entries}
    return environment.get_template("README.md.j2").render(profiles=sections)


class _Markdown(str):
    """Text that is Markdown already."""


_ESCAPES = str.maketrans(
    {**{sign: f"\\{sign}" for sign in "\\|*[]~"}, "`": "'", "<": "&lt;", ">": "&gt;", "&": "&amp;"}
)


def _escaped(value: object) -> str:
    """A value as one line that says itself and nothing to Markdown or HTML; no code span ends in it."""
    return value if isinstance(value, _Markdown) else one_line(str(value)).translate(_ESCAPES)


def _links(profile: str, entry: Entry, region: str) -> _Markdown:
    """Markdown links to an OMI's documents."""
    kinds = [kind for kind, _ in dict(entry.documents).get(region, ()) if kind in SUFFIXES]
    files = {kind: quote(f"{profile}/{region}/{file_name(entry.name, kind)}") for kind in kinds}
    return _Markdown(", ".join(f"[{'SBOM' if kind == 'sbom' else kind}]({file})" for kind, file in files.items()))
