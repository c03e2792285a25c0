"""`sweep`: what this stack's builds left in the account, or what fell out of its state; removed only with `--yes`."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path

from omi.commands.stack import parser_of, read_stack
from omi.errors import BuildError
from omi.ledger import Ledger
from omi.locks import LockedError, hold
from omi.narration import tell
from omi.outscale.cloud import Cloud
from omi.outscale.oos import ObjectStore
from omi.outscale.orphans import find_buckets, find_orphans, remove_orphans
from omi.places import BUILD, image_of, name_of_file
from omi.regions import regions_of, told_of
from omi.settings import Settings
from omi.show import render_columns


def sweep(arguments: Sequence[str]) -> int:
    """`sweep -s STACK [--yes]`: list what nobody looks after any more; with `--yes`, remove it.

    Raises BuildError while a build of the stack runs in this checkout, since its VMs would look like leftovers.
    """
    parser = parser_of("sweep")
    parser.add_argument("--yes", action="store_true", help="remove what is listed, instead of only listing it")
    given = parser.parse_args(arguments)
    settings, held = read_stack(given.stack)
    ledger, owner = held.ledger, held.owner
    if running := list(_running(given.stack)):
        raise BuildError(f"a build of {', '.join(running)} is running: wait for its end, then sweep")
    regions, found = regions_of(settings, ledger), []
    runs = {name_of_file(folder.name) for folder in _runs(given.stack)}
    names = {image_of(run) for run in runs}
    for region in regions:
        with told_of(region, regions):
            cloud = Cloud.connect(region.access)
            orphans = find_orphans(cloud, region.ledger, owner, names)
            store = None
            if region.is_home and _carries(settings, ledger):
                store = ObjectStore(cloud.access, cloud.credentials)
                orphans += find_buckets(store, owner, runs)
            found.append((region, cloud, store, orphans))
    rows = [
        (region.name, each.kind, each.id, each.name, each.why + ("; stays" if each.stays else ""))
        for region, _, _, orphans in found
        for each in orphans
    ]
    if not rows:
        print("Nothing is left over.")
        return 0
    first = 0 if len(regions) > 1 else 1
    print(render_columns([row[first:] for row in (("REGION", "KIND", "ID", "NAME", "WHY"), *rows)]))
    if given.yes:
        for region, cloud, store, orphans in found:
            with told_of(region, regions):
                remove_orphans(cloud, orphans, owner, tell, store)
    elif not all(each.stays for *_, orphans in found for each in orphans):
        print("Nothing is removed yet. While no update of the stack runs, on any machine, --yes removes these.")
    return 0


def _carries(settings: Settings, ledger: Ledger) -> bool:
    """Whether images are or were carried over, so that there may be buckets; else OOS isn't asked at all."""
    wanted = any(further.images == "copy" for further in settings.regions.values())
    return wanted or any(image.spec.copy_from is not None for image in ledger.images)


def _runs(stack: str) -> list[Path]:
    """The run folders of the stack's images that were ever built from this checkout."""
    own = BUILD / stack
    return sorted(folder for folder in own.iterdir() if folder.is_dir()) if own.is_dir() else []


def _running(stack: str) -> Iterator[str]:
    for folder in _runs(stack):
        lock = folder / "lock"
        try:
            with suppress(FileNotFoundError), hold(lock, "sweeping", limit=0):
                continue
        except LockedError:
            yield name_of_file(folder.name)
