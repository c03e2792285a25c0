"""The README beside the releases files, for the people who launch the images."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from urllib.parse import quote

from omi.documents.kinds import SUFFIXES, file_name
from omi.releases.entry import Entry, newest_first


def render_readme(profiles: Mapping[str, Sequence[Entry]]) -> str:
    """Markdown: a section per profile, its images newest first; the same entries give the same bytes."""
    # a preview writes no README, so it shan't wait for this import
    from jinja2 import Environment, PackageLoader, StrictUndefined

    environment = Environment(
        loader=PackageLoader("omi.releases"),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        autoescape=False,  # noqa: S701 - Markdown, from values that the profile model has checked
    )
    environment.globals["documents"] = _links
    sections = {name: newest_first(entries) for name, entries in sorted(profiles.items()) if entries}
    return environment.get_template("README.md.j2").render(profiles=sections)


def _links(profile: str, entry: Entry, region: str) -> str:
    """Markdown links to an OMI's documents."""
    kinds = [kind for kind, _ in dict(entry.documents).get(region, ()) if kind in SUFFIXES]
    files = {kind: quote(f"{profile}/{region}/{file_name(entry.name, kind)}") for kind in kinds}
    return ", ".join(f"[{'SBOM' if kind == 'sbom' else kind}]({file})" for kind, file in files.items())
