"""The README beside the releases files, for the people who launch the images."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

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
    sections = {name: newest_first(entries) for name, entries in sorted(profiles.items()) if entries}
    return environment.get_template("README.md.j2").render(profiles=sections)
