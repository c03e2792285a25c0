"""`site`: the static site from the releases files; it needs neither the cloud nor a stack."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from omi.cli.stack import Parser
from omi.publish.site import build_site
from omi.support.places import SITE


def site(arguments: Sequence[str]) -> int:
    """`site [--releases FOLDER] [--output FOLDER]`: write all pages anew."""
    parser = Parser(prog="omi site")
    parser.add_argument("--releases", type=Path, default=Path("releases"), help="where the releases files are")
    parser.add_argument("--output", type=Path, default=SITE, help="the site's folder, which is replaced")
    given = parser.parse_args(arguments)
    for line in build_site(given.releases, given.output):
        print(line)
    return 0
