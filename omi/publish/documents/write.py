"""Writes an image's documents from the facts that the guest's scripts left."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from pathlib import Path

from omi.publish.documents.installed import packages_text, read_installed
from omi.publish.documents.kinds import file_name
from omi.publish.documents.provenance import Made, provenance_text
from omi.publish.documents.sbom import sbom_text
from omi.state.release_file import read_release
from omi.support.atomic import write_atomically
from omi.support.errors import BuildError


def write_documents(folder: Path, output: Path, made: Made) -> dict[str, str]:
    """Write all kinds into `folder`; their digests (`sha256:` and 64 hex digits) by kind.

    `output` is the folder that Packer fetched from the build VM. BuildError if its files can't be read or are another
    image's.
    """
    try:
        packages = read_installed((output / "packages").read_text(encoding="utf-8"), str(output / "packages"))
        files = (output / "files").read_text(encoding="utf-8")
        release = read_release((output / "alpine-omi-release").read_text(encoding="utf-8").splitlines())
    except (OSError, UnicodeDecodeError) as error:
        raise BuildError(f"{output}: the build VM's facts of the image can't be read: {error}; build again") from error
    if (release.get("NAME"), release.get("DIGEST")) != (made.spec.name, made.spec.digest):
        raise BuildError(f"{output}: is of the image {release.get('NAME')}, not of {made.spec.name}; build again")
    made = replace(made, release=release)
    texts = {"files": files, "packages": packages_text(packages), "sbom": sbom_text(made, packages)}
    texts["provenance"] = provenance_text(made, {kind: _digest(text) for kind, text in sorted(texts.items())})
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for kind, text in texts.items():
            write_atomically(folder / file_name(made.spec.name, kind), text)
    except OSError as error:
        cure = "make room or correct its owner, then build again"
        raise BuildError(f"{folder}: the image's documents can't be written: {error.strerror}; {cure}") from error
    return {kind: _digest(text) for kind, text in sorted(texts.items())}


def _digest(text: str) -> str:
    return "sha256:" + hashlib.sha256(text.encode("utf-8")).hexdigest()
