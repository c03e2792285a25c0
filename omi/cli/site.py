"""`site`: the static site from the releases files; it needs neither the cloud nor a stack."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from omi.publish.site import build_site
from omi.support.places import SITE


def site(
    releases: Annotated[Path, typer.Option(metavar="FOLDER", help="where the releases files are")] = Path("releases"),
    output: Annotated[Path, typer.Option(metavar="FOLDER", help="the site's folder, which is replaced")] = SITE,
) -> None:
    """Write all pages of the static site anew."""
    for line in build_site(releases, output):
        print(line)
