"""Programs that do nothing but write down the environment that they were given."""

from __future__ import annotations

import os
from pathlib import Path

KEYS = {
    "OSC_ACCESS_KEY": "marked-1",
    "OSC_SECRET_KEY": "marked-2",
    "AWS_ACCESS_KEY_ID": "marked-3",
    "AWS_SECRET_ACCESS_KEY": "marked-4",
    "AWS_SESSION_TOKEN": "marked-5",
    "PULUMI_ACCESS_TOKEN": "marked-6",
    "PULUMI_CONFIG_PASSPHRASE": "marked-7",
    "PACKER_GITHUB_API_TOKEN": "marked-8",
    "HOMEBREW_GITHUB_API_TOKEN": "marked-9",
    "SOME_PASSWORD": "marked-10",
    "ALPINE_OMI_SIGNING_KEY": "marked-12",
}
"""What the environment of a command may hold that is nobody else's."""
PROXY = {"https_proxy": "http://user:marked-11@127.0.0.1:9"}


class Recorder:
    """A folder of such programs, to be put on PATH."""

    def __init__(self, folder: Path, *programs: str, says: str = "1.16.0") -> None:
        self.folder = folder
        self._says = says
        folder.mkdir()
        for program in programs:
            self.add(program)

    def add(self, program: str) -> Path:
        """One more of them."""
        path = self.folder / program
        path.write_text(f"#!/bin/sh\nenv -0 >>'{path}.env'\necho '{self._says}'\n", encoding="utf-8")
        path.chmod(0o755)
        return path

    @property
    def path(self) -> str:
        """The PATH on which they are found first."""
        return f"{self.folder}:{os.environ['PATH']}"

    def seen(self, program: str) -> dict[str, str]:
        """The variables of all its runs; it must have run."""
        entries = (self.folder / f"{program}.env").read_text(encoding="utf-8").split("\0")
        return {name: value for name, _, value in (entry.partition("=") for entry in entries if entry)}

    def marked(self, program: str) -> set[str]:
        """Names of the variables with a marked value that it was given."""
        return {name for name, value in self.seen(program).items() if "marked" in value}
