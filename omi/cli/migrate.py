"""`migrate`: rewrites the profiles of a checkout of the old tool as ours."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any

import typer
import yaml

from omi.profile.hocon import is_target, read_old_profile
from omi.profile.layers import kept, merge
from omi.profile.load import load_profile
from omi.profile.migrate import Migration, migrate
from omi.profile.tree import read_tree
from omi.support.atomic import write_atomically
from omi.support.errors import InputError, ProfileError
from omi.support.places import PROFILES


def migrate_profiles(
    folder: Annotated[Path, typer.Argument(metavar="FOLDER", help="a checkout of the old tool")],
    profiles: Annotated[
        list[str] | None, typer.Argument(metavar="PROFILE", help="target profiles, by name (default: all)")
    ] = None,
) -> None:
    """Write the old tool's target profiles, and the files that they need, into `profiles`.

    Nothing is written if one can't be read, or if a file exists already.
    """
    base = _our_layers()
    done = [migrate(read_old_profile(path), folder, base) for path in _targets(folder, profiles or ())]
    texts = {name: text for each in done for name, text in _texts(each).items()}
    files = {name: path for each in done for name, path in each.files.items()}
    if there := [str(PROFILES / name) for name in (*texts, *files) if (PROFILES / name).exists()]:
        raise InputError(f"{', '.join(there)}: there already; move it away, or name other profiles to migrate")
    with tempfile.TemporaryDirectory(prefix="migrate-") as place:
        trial = Path(place) / PROFILES
        shutil.copytree(PROFILES, trial, ignore=shutil.ignore_patterns(".*"))  # such as an editor's locks
        _write(texts, files, trial)
        for each in done:
            try:
                load_profile(each.name, trial)
            except ProfileError as error:
                why = "; ".join(error.problems).replace(f"{trial}", str(PROFILES))
                raise InputError(f"{each.name}.conf: what it sets isn't allowed here: {why}") from error
    _write(texts, files, PROFILES)
    for each in done:
        print(f"{PROFILES / each.name}.yaml: {', '.join(each.target['builds'])}")
        for text, names in each.notes.items():
            print(f"  {', '.join(names)}: {text}")


def _our_layers() -> Mapping[str, Any]:
    if not PROFILES.is_dir():
        raise InputError(f"{PROFILES}: no such folder; run this from the project's top")
    return kept(merge(*(read_tree(PROFILES / name) for name in ("base/1.yaml", "arch/x86_64.yaml"))).values)


def _targets(folder: Path, names: Sequence[str]) -> list[Path]:
    there = {path.stem: path for path in sorted((folder / PROFILES).glob("*.conf")) if is_target(path)}
    if not there:
        raise InputError(
            f"{folder}: has no profiles/NAME.conf with BUILDS in it; give the top of a checkout of the old tool"
        )
    if unknown := [name for name in names if name not in there]:
        raise InputError(f"{folder}: has no profile {', '.join(unknown)}; there are: {', '.join(there)}")
    return [there[name] for name in names or there]


def _texts(done: Migration) -> dict[str, str]:
    """The texts to write, by path below `profiles`. A branch that has a file already is left out."""
    if not done.target["builds"]:
        raise InputError(f"{done.name}: none of its builds can be made on OUTSCALE, which has x86_64 alone")
    head = f"# From {done.name}.conf of the old tool.\n"
    made = {f"version/{version}.yaml": values for version, values in done.versions.items()}
    wanted = {name: values for name, values in made.items() if not (PROFILES / name).exists()}
    wanted[f"{done.name}.yaml"] = done.target
    return {name: head + yaml.safe_dump(each, sort_keys=False, allow_unicode=True) for name, each in wanted.items()}


def _write(texts: Mapping[str, str], files: Mapping[str, Path], root: Path) -> None:
    """Write all files, target profiles last: the files that they need come first."""
    for name, path in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(path, root / name)
    for name in sorted(texts, key=lambda name: ("/" not in name, name)):
        write_atomically(root / name, texts[name])
