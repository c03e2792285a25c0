"""`sweep`: what this stack's builds left in the account, or what fell out of its state; removed only with `--yes`."""

from __future__ import annotations

import fcntl
from collections.abc import Iterator, Sequence

from omi.commands.stack import parser_of, read_stack
from omi.commands.wire import tell
from omi.errors import BuildError
from omi.places import BUILD, image_of_run, run_name
from omi.show import render_columns
from omi.stack import PROJECT


def sweep(arguments: Sequence[str]) -> int:
    """`sweep -s STACK [--yes]`: list what nobody looks after any more; with `--yes`, remove it.

    Raises BuildError while a build of the stack runs in this checkout, since its VMs would look like leftovers.
    """
    from omi.outscale.cloud import Cloud
    from omi.outscale.orphans import find_orphans, remove_orphans

    parser = parser_of("sweep")
    parser.add_argument("--yes", action="store_true", help="remove what is listed, instead of only listing it")
    given = parser.parse_args(arguments)
    settings, ledger = read_stack(given.stack)
    if running := list(_running(given.stack)):
        raise BuildError(f"a build of {', '.join(running)} is running: wait for its end, then sweep")
    cloud = Cloud.connect(settings.cloud_access())
    found = find_orphans(cloud, ledger, PROJECT, given.stack, _built_here(given.stack))
    if not found:
        print("Nothing is left over.")
        return 0
    rows = [(each.kind, each.id, each.name, each.why + ("; stays" if each.stays else "")) for each in found]
    print(render_columns([("KIND", "ID", "NAME", "WHY"), *rows]))
    if given.yes:
        remove_orphans(cloud, found, PROJECT, given.stack, tell)
    elif not all(each.stays for each in found):
        print("Nothing is removed yet. While no update of the stack runs, on any machine, --yes removes these.")
    return 0


def _built_here(stack: str) -> list[str]:
    """Names of the stack's images that were ever built from this checkout."""
    own = BUILD / stack
    return sorted(image_of_run(folder.name) for folder in own.iterdir() if folder.is_dir()) if own.is_dir() else []


def _running(stack: str) -> Iterator[str]:
    for name in _built_here(stack):
        try:
            with (BUILD / stack / run_name(name) / "lock").open() as lock:
                fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            yield name
        except FileNotFoundError:
            continue
