"""The README beside the releases files, for the people who launch the images."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from urllib.parse import quote

from jinja2 import Environment, PackageLoader, StrictUndefined

from omi.publish.fixes import published_files
from omi.publish.model import PublishedImage
from omi.publish.releases import newest_first
from omi.support.errors import one_line
from omi.support.version import EDGE, is_prerelease

MARKER = "<!-- images -->"
"""Above it people write, below it the program."""


def render_readme(profiles: Mapping[str, Sequence[PublishedImage]], before: str | None = None) -> str:
    """Markdown: the part of `before` (the file as it is) above the marker, then the images of each profile: first the
    newest of each version, build and Region.

    A file without the marker keeps all of its text; None stands for no file. The same values give the same bytes.
    """
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
    tables = [table for name, images in sorted(profiles.items()) for table in _tables(name, images)]
    above = None if before is None else _Markdown(_above(before))
    return environment.get_template("README.md.j2").render(tables=tables, above=above, marker=_Markdown(MARKER))


def _above(text: str) -> str:
    """The text that people wrote; it ends where a line begins."""
    above, marker, _ = text.partition(MARKER)
    return above if marker or not above.strip() else above.rstrip() + "\n\n"


def _tables(
    profile: str, images: Sequence[PublishedImage]
) -> Iterator[tuple[str, list[tuple[PublishedImage, str]], bool]]:
    """The profile, its rows (an image in a Region) in order, and whether they are the newest.

    A private image is the newest only if all are private. Branches come before edge and before candidates of a release,
    as in `latest`.
    """
    ordered = sorted(newest_first(images), key=lambda e: e.version == EDGE or is_prerelease(e.release))
    rows = [(image, region) for image in ordered for region in image.ids]
    newest: dict[tuple[str, str, str], PublishedImage] = {}
    for image, region in sorted(rows, key=lambda row: row[0].stage_in(row[1]) == "private"):
        newest.setdefault((image.version, image.build, region), image)
    for first in (True, False):
        chosen = [row for row in rows if (newest[row[0].version, row[0].build, row[1]] is row[0]) is first]
        if chosen:
            yield profile, chosen, first


class _Markdown(str):
    """Text that is Markdown already."""


_ESCAPES = str.maketrans(
    {**{sign: f"\\{sign}" for sign in "\\|*[]~"}, "`": "'", "<": "&lt;", ">": "&gt;", "&": "&amp;"}
)


def _escaped(value: object) -> str:
    """A value as one line that Markdown and HTML show as it is; it ends no code span."""
    return value if isinstance(value, _Markdown) else one_line(str(value)).translate(_ESCAPES)


def _links(image: PublishedImage, region: str) -> _Markdown:
    """Markdown links to an OMI's documents."""
    files = published_files(image, region).items()
    return _Markdown(", ".join(f"[{'SBOM' if kind == 'sbom' else kind}]({quote(path)})" for kind, (path, _) in files))
