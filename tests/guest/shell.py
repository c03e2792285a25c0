"""Run functions of the guest's scripts by themselves."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Mapping
from pathlib import Path

from omi.profile.model import guest_names

GUEST = Path(__file__).parents[2] / "guest"
PARTS = tuple(f"{part}/{path.name}" for part in ("lib", "steps") for path in sorted((GUEST / part).glob("*.sh")))


def run_functions(text: str, folder: Path, **values: str) -> subprocess.CompletedProcess[str]:
    """Run `text` by sh after sourcing all parts; `folder`/bin comes first on the PATH, `values` are assigned.

    The profile's keys are empty where `values` don't say otherwise.
    """
    sources = "\n".join(f'. "$GUEST/{part}"' for part in PARTS)
    script = f"set -eu\nWORK={folder}\n{sources}\n{text}\n"
    environment = {**os.environ, "PATH": f"{folder}/bin:{os.environ['PATH']}", "GUEST": str(GUEST), "LC_ALL": "C"}
    return subprocess.run(
        ["sh", "-c", script],
        env={**environment, **{name: "" for name, _ in guest_names()}, **values},
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def write_program(folder: Path, name: str, text: str) -> None:
    """A program of our own on the PATH of `run_functions`."""
    place = folder / "bin" / name
    place.parent.mkdir(exist_ok=True)
    place.write_text(f"#!/bin/sh\n{text}\n")
    place.chmod(0o755)


def image_env(values: Mapping[str, str]) -> str:
    """Assignments with every value in single quotes."""
    return "".join("{}='{}'\n".format(name, value.replace("'", "'\\''")) for name, value in values.items())
