"""`sweep`: lists what this stack's builds left in the account, and with `--yes` removes it."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from omi.build.packer.inputs import RunFolder
from omi.build.packer.runner import read_output
from omi.build.trial import find_tries, tries_of
from omi.cli.stack import Stack, StackId, Yes
from omi.cli.stack_lock import hold_stack
from omi.config.regions import Region, errors_naming, regions_of
from omi.config.settings import Retention, Settings
from omi.config.stack import PROJECT, exported_state, stack_config
from omi.outscale.client import Cloud
from omi.outscale.oos import ObjectStore
from omi.outscale.sweep import Builds, Leftover, Search, find_buckets, remove_leftovers
from omi.plan.guard import ALLOW, too_many
from omi.plan.held import Held, read_state
from omi.state.ledger import resources_of_export
from omi.state.owner import Owner
from omi.state.show import render_columns
from omi.support.errors import BuildError, InputError, OmiError, PlanError, StateError
from omi.support.locks import LockedError, hold
from omi.support.narration import tell
from omi.support.places import BUILD, file_name_of, image_of, in_region, name_of_file


@dataclass(frozen=True)
class SweepFindings:
    """The leftovers of one Region."""

    region: Region
    search: Search | None = None
    """None if the Region couldn't be searched."""
    store: ObjectStore | None = None
    things: tuple[Leftover, ...] = ()
    unread: str = ""
    """Why not all of it could be searched; empty if all was."""
    failure: OmiError | None = None
    """The same of a Region in use: a sweep ends with it."""

    @property
    def going(self) -> tuple[Leftover, ...]:
        """The things that would be removed."""
        return tuple(each for each in self.things if not each.stays)

    def with_buckets(self, runs: Collection[str]) -> SweepFindings:
        """The findings with the buckets that copies of `runs` left in the Region's object store."""
        if self.search is None:
            return self
        cloud, owner = self.search.cloud, self.search.builds.owner
        store = ObjectStore(cloud.access, cloud.credentials)
        return replace(self, store=store, things=(*self.things, *find_buckets(store, owner, runs)))


def sweep(stack: Stack, yes: Yes = False, stack_id: StackId = None) -> None:
    """List what builds left in the account; with --yes, remove what is provably theirs.

    It refuses to run during a build or an update of the stack, whose VMs would count as leftovers.
    """
    settings = Settings.load(stack_config(stack))
    with _builds_held(stack, ()):
        found = find_leftovers(settings, _read(stack, stack_id), stack)
    _require_searched(found)
    for each in found:
        if each.unread:
            tell(f"not searched: {each.unread}")
    if not any(each.things for each in found):
        print("Nothing is left over elsewhere." if any(each.unread for each in found) else "Nothing is left over.")
        return
    _show(found)
    listed = {(each.region.name, left.kind, left.id) for each in found for left in each.going}
    if listed and not yes:
        print("Nothing is removed yet. While no update of the stack runs, on any machine, --yes removes these.")
    elif listed:
        with hold_stack(stack) as locked, _builds_held(stack, found):
            again = find_leftovers(settings, _read(stack, stack_id, pending=locked), stack)
            _require_searched(again)
            _remove(again, listed, settings.retention)


def _require_searched(found: Sequence[SweepFindings]) -> None:
    """Raise the failure of a Region in use."""
    for each in found:
        if each.failure is not None:
            raise each.failure


def _read(stack: str, stack_id: str | None, *, pending: bool = True) -> Held:
    """The stack's state. With `pending`, pending operations in it don't mean that an update runs."""
    deployment = exported_state(stack)
    held = read_state(resources_of_export(deployment), PROJECT, stack)
    if not pending and deployment.get("pending_operations"):
        raise StateError(
            f"stack {stack!r}: its state has pending operations, so an update may run: wait for its end; if none "
            "runs, `pulumi refresh --yes --clear-pending-creates`, then sweep"
        )
    if held.ledger.images:
        if stack_id not in (None, held.owner.stack_id):
            raise InputError(
                f"--stack-id {stack_id}: the state of {stack} has the id {held.owner.stack_id}; leave the option out"
            )
        return held
    if stack_id is None:
        raise InputError(
            f"stack {stack!r}: its state holds no image, so all that the account has of it would count as left "
            "over; if no state was lost, give the stack's id, which is on what it made as the tag stack-id: "
            "`--stack-id ID`"
        )
    return replace(held, owner=replace(held.owner, stack_id=stack_id))


def find_leftovers(settings: Settings, held: Held, stack: str) -> list[SweepFindings]:
    """Find the leftovers in every Region of the stack, and in those that it has left; nothing is changed.

    If a Region can't be searched, its findings have the reason.
    """
    ledger, found = held.ledger, []
    regions, folders = regions_of(settings, ledger, held.known), _folders(stack)
    runs = {name_of_file(folder.name) for folder in folders}
    next_ones = {image.next_name for image in ledger.images}
    records = [image.record for image in ledger.images]
    builds = Builds(
        held.owner,
        frozenset(map(image_of, runs)) | {image.name for image in ledger.images} | next_ones,
        frozenset(each for folder in map(RunFolder, folders) for each in _unfinished(folder)),
        frozenset(each for record in records for each in (record.omi, *record.snapshots)),
        frozenset((*settings.retention.protect, *held.memory.protected)),
    )
    copies = settings.copies or any(record.copied_from for record in records)
    for region in regions:
        known = held.known.get(region.name)
        try:
            with errors_naming(region, regions):
                each = _search(region, builds, None if known is None or region.is_wanted else known.account)
                if region.is_home and copies:
                    each = each.with_buckets(runs)
                elif known is not None and known.copied is not None:
                    each = _with_buckets_left(each, runs)
        except OmiError as error:
            in_use = region.is_wanted or bool(region.ledger.images)
            each = SweepFindings(region, unread=str(error), failure=error if in_use else None)
        found.append(each)
    return found


def _unfinished(folder: RunFolder) -> tuple[str, ...]:
    """The volumes of a Packer that didn't end well. After one that did, their untagged snapshots are a person's."""
    return () if folder.manifest.exists() else tuple(read_output(folder.packer_log).volumes)


def _search(region: Region, builds: Builds, account: str | None) -> SweepFindings:
    """Search all of a Region but its object store. `account` is the one that it must be, if it is no longer in use."""
    cloud = Cloud.connect(region.access)
    if account is not None:
        cloud.require_account(account, f"what the stack made in Region {region.name}")
    for image in region.ledger.images:  # with another account's key, all images would seem to be gone
        cloud.require_account(image.record.account, f"{image.record.omi} ({image.name})")
    search = Search(cloud, builds)
    things = [*(left for find in search.kinds for left in find()), *_tries(cloud, builds.owner)]
    return SweepFindings(region, search, things=tuple(things))


def _tries(cloud: Cloud, owner: Owner) -> Iterator[Leftover]:
    """The tries of the stack's builds, which somebody may use."""
    for each in find_tries(cloud, owner.project, tries_of(owner.stack)):
        removing = f"python -m omi try -s {owner.stack} {each.build} --remove --yes"
        why = f"{', '.join(each.things)}: somebody may use it; if nobody does, `{removing}` removes it"
        yield Leftover("try", each.stack_id, f"try of {each.build}", why, stays=True)


def _with_buckets_left(found: SweepFindings, runs: Collection[str]) -> SweepFindings:
    """The findings with those in the object store, from which nothing is copied any more: its right may be gone."""
    try:
        return found.with_buckets(runs)
    except OmiError as error:
        return replace(found, unread=f"buckets of copies in Region {found.region.name}: {error}")


def _show(found: Sequence[SweepFindings]) -> None:
    rows = [("REGION", "KIND", "ID", "NAME", "WHY")]
    rows += [
        (each.region.name, left.kind, left.id, left.name, left.why + ("; stays" if left.stays else ""))
        for each in found
        for left in each.things
    ]
    print(render_columns([row[0 if len(found) > 1 else 1 :] for row in rows]))


def _remove(found: Sequence[SweepFindings], listed: set[tuple[str, str, str]], retention: Retention) -> None:
    """Remove leftovers that were also listed before. If the guard refuses one Region, nothing is removed in any."""
    going = [[left for left in each.going if (each.region.name, left.kind, left.id) in listed] for each in found]
    for each, things in zip(found, going, strict=True):
        _guard(each.region, things, retention)
    regions = [each.region for each in found]
    for each, things in zip(found, going, strict=True):
        if each.search is None:
            continue
        with errors_naming(each.region, regions):
            remove_leftovers(each.search, things, tell, each.store)


def _guard(region: Region, going: Sequence[Leftover], retention: Retention) -> None:
    allowed = {*retention.allow_mass_prune} & {"all", region.name}
    images = [left for left in going if left.kind == "image"]
    counted = [left for left in images if not allowed and left.name not in retention.allow_mass_prune]
    if limit := too_many(len(counted), retention, len(region.ledger.images) + len(images)):
        raise PlanError(
            f"sweep: {len(counted)} images would be removed at once, more than {limit}: "
            f"{', '.join(left.name for left in counted)}; nothing is removed; if that is meant, allow it with "
            f"`{ALLOW}`, NAME being an image, a Region or `all`"
        )


def _folders(stack: str) -> list[Path]:
    """The run folders of all images of the stack that were ever built from this checkout."""
    own = BUILD / stack
    return sorted(folder for folder in own.iterdir() if folder.is_dir()) if own.is_dir() else []


@contextmanager
def _builds_held(stack: str, found: Sequence[SweepFindings]) -> Iterator[None]:
    """Hold the existing run folders and those of the leftovers, so that no build begins meanwhile."""
    names = {(each.region.name, left.name) for each in found for left in each.going if left.name}
    runs = {run for region, name in names for run in (name, in_region(name, region))}
    folders = {*_folders(stack), *(BUILD / stack / file_name_of(run) for run in runs)}
    with ExitStack() as locks:
        for folder in sorted(folders):
            try:
                locks.enter_context(hold(folder / "lock", "sweeping", limit=0))
            except LockedError as error:
                running = name_of_file(folder.name)
                raise BuildError(f"a build of {running} is running: wait for its end, then sweep ({error})") from error
            except OSError as error:
                raise BuildError(f"{folder}: cannot be written ({error.strerror}); correct its owner") from error
        yield
