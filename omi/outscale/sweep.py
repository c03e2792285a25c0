"""Finds builds' leftovers in an account, kind by kind, and removes those that are provably a build's own."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from omi.outscale.client import Cloud
from omi.outscale.entry import delete_group, delete_key
from omi.outscale.images import Ours, delete_omi, delete_snapshot, mark_going, own_omis, read_omi
from omi.outscale.oos import ObjectStore, prefix_of
from omi.outscale.refused import RefusedKeyError
from omi.outscale.shapes import CloudKeypair, CloudSnapshot, CloudVm, CloudVolume, Group, Omi, Tagged, listed
from omi.outscale.vms import delete_volume, end_vm
from omi.state.owner import (
    BUILD_ID,
    CLAIM,
    GOING,
    STACK_ID,
    VERIFIED,
    Owner,
    build_id_of,
    going_mark,
    working_name,
)
from omi.support.errors import CloudError, OmiError

_BUILD_KEY = "-build"
_KEYS = (_BUILD_KEY, "-verify")
"""The ends of keypairs' names; a group's name ends with the build id."""
_BY_HAND = "delete it by hand if nobody needs it"


@dataclass(frozen=True)
class Leftover:
    """A leftover of a build."""

    kind: str
    """One of image, snapshot, VM, volume, keypair, group, bucket or try."""
    id: str
    name: str
    """The name of the OMI whose build left it, if known."""
    why: str
    stays: bool = False
    """Whether it is only reported."""


@dataclass(frozen=True)
class Builds:
    """The builds whose leftovers a search is for."""

    owner: Owner
    names: frozenset[str]
    """The names of the OMIs that they should make."""
    volumes: frozenset[str] = frozenset()
    """Ids of volumes that Packer took snapshots of, by its logs."""
    spare: frozenset[str] = frozenset()
    """Ids of OMIs and snapshots that stay, since state or a build holds them."""
    protect: frozenset[str] = frozenset()
    """Names or ids of OMIs; everything of them stays."""
    alone: bool = False
    """Whether a build cleans up after itself: then the keypair alone proves that a VM is its own."""


@dataclass
class Search:
    """One search of an account, kind by kind, in the order in which things can be deleted."""

    cloud: Cloud
    builds: Builds
    images: bool = True
    """Whether to search for OMIs."""
    groups: bool = True
    """Whether to search for security groups: a build still needs its own between its VMs."""
    _busy: set[str | None] = field(default_factory=set)
    """Ids of builds that have a VM that stays."""

    @property
    def kinds(self) -> Iterator[Callable[[], list[Leftover]]]:
        """One function for each kind, in the order of the calls."""
        yield from (self._find_images, self._find_snapshots, self._find_vms, self._find_volumes, self._find_keypairs)
        yield from (self._find_groups,) if self.groups else ()

    @cached_property
    def _vms(self) -> list[CloudVm]:
        return [vm for vm in listed(self.cloud, CloudVm) if vm.state != "terminated"]

    @cached_property
    def _omis(self) -> list[Omi]:
        return own_omis(self.cloud, {})

    @cached_property
    def _snapshots(self) -> list[CloudSnapshot]:
        found = listed(self.cloud, CloudSnapshot, AccountIds=[self.cloud.account])
        return [each for each in found if each.owner == self.cloud.account and each.state != "deleting"]

    @cached_property
    def _by_id(self) -> Mapping[str, str]:
        """OMI names by build id; if a build cleans up after itself, only its own."""
        owner, names = self.builds.owner, set(self.builds.names)
        if not self.builds.alone:
            things: list[Tagged] = [*self._omis, *self._snapshots, *self._vms]
            tagged = {each.tags.get("Name", "") for each in things}  # any OMI's: the id already proves the stack
            names |= {name.removesuffix(" build").removesuffix(" verify") for name in tagged}
        return {build_id_of(owner, name): name for name in names if name}

    def _name_of(self, tags: Mapping[str, str]) -> str | None:
        """The name of the OMI whose build made a thing with these tags; None unless stack and build id prove it."""
        return self._by_id.get(tags.get(BUILD_ID, "")) if self.builds.owner.owns(tags) else None

    def _build_of(self, called: str, ends: Collection[str]) -> str | None:
        """The id of this stack's build that made the keypair or group of this name, which has one of these ends.

        They have no tags. Only the id of a known OMI's build counts if the name lacks the stack's id, as in 1.0.0, or
        if a build cleans up after itself.
        """
        stack_id = re.escape(self.builds.owner.stack_id)
        match = re.fullmatch(f"alpine-omi-({stack_id}-)?(b-[0-9a-f]{{16}})(|-[a-z]+)", called)
        if match is None or match[3] not in ends:
            return None
        return match[2] if match[2] in self._by_id or (match[1] and not self.builds.alone) else None

    def _left_by(self, vm: CloudVm, ends: Collection[str] = _KEYS) -> str | None:
        """The OMI whose build launched it: it has the build's keypair and, unless the build itself asks, its tags."""
        name = self._by_id.get(self._build_of(vm.key_name, ends) or "")
        if self._protected(name):
            return None
        return name if self.builds.alone or self._name_of(vm.tags) == name else None

    def _protected(self, *named: str | None) -> bool:
        return not self.builds.protect.isdisjoint(named)

    def _find_images(self) -> list[Leftover]:
        return [left for omi in self._omis if (left := self._image(omi)) is not None] if self.images else []

    def _image(self, omi: Omi) -> Leftover | None:
        if omi.omi_id in self.builds.spare:
            return None
        name = self._half_made(omi) if STACK_ID not in omi.tags else self._name_of(omi.tags)
        if name is None and not self.builds.owner.owns(omi.tags):
            return None
        why = ""
        if name is not None and omi.tags and STACK_ID not in omi.tags:
            why = f"its description is of this stack, but its tags are not: put them back, or {_BY_HAND}"
        elif name is None or omi.name not in (name, working_name(name, build_id_of(self.builds.owner, name))):
            why = f"bears tags of this stack that are not of its name: {_BY_HAND}"
        elif self._protected(name, omi.name, omi.omi_id):
            why = "no state holds it, but it is protected"
        elif omi.verified_by(self.builds.owner) or CLAIM in omi.tags:
            cure = "`python -m omi recover` takes it in" if omi.tags else "put its tags back"
            why = f"no state holds it, but it was verified: {cure}, or {_BY_HAND}"
        elif omi.permissions is None or omi.permissions.names(self.cloud.account):
            why = f"no state holds it, but it is shared: {_BY_HAND}"
        elif used := [vm.vm_id for vm in self._vms if vm.omi == omi.omi_id and not self._left_by(vm)]:
            why = f"no state holds it, but {', '.join(used)} runs from it"
        told = why or f"never verified, and no state holds it{'' if omi.tags else ': half-made'}"
        return Leftover("image", omi.omi_id, name or omi.name, told, stays=bool(why))

    def _half_made(self, omi: Omi) -> str | None:
        """The intended name of an OMI that has no tags yet, by the build id in its description."""
        names = (omi.name, omi.name.rpartition("-b-")[0])
        return next((name for name in names if build_id_of(self.builds.owner, name) in omi.description), None)

    def _find_snapshots(self) -> list[Leftover]:
        """Find snapshots that no OMI uses."""
        used = {each for omi in self._omis for each in omi.snapshots} | self.builds.spare
        # a verify VM, where a person may try an image, has no snapshots of ours
        building = [(vm, name) for vm in self._vms if (name := self._left_by(vm, (_BUILD_KEY,)))]
        volumes = dict.fromkeys(self.builds.volumes, "") | {each: name for vm, name in building for each in vm.disks}
        unused = [each for each in self._snapshots if each.snapshot_id not in used]
        return [left for each in unused if (left := self._snapshot(each, volumes)) is not None]

    def _snapshot(self, each: CloudSnapshot, volumes: Mapping[str, str]) -> Leftover | None:
        """Report a snapshot. It may go if its OMI is gone and it should follow, or if it is of a build's volume.

        `volumes` are those, each with its OMI's name, empty if that isn't known.
        A verified OMI's snapshot may only follow: whoever else deregistered the OMI may want the snapshot.
        """
        owner, name = self.builds.owner, self._name_of(each.tags)
        going = self._is_going(each.tags, each.snapshot_id)
        of_volume = each.volume_id in volumes and (not each.tags or name is not None)
        if not (of_volume or owner.owns(each.tags)):
            return None
        why = ""
        if self._protected(name):
            why = "is of a protected image"
        elif each.permissions.names(self.cloud.account):
            why = f"no image is made of it, but it is shared: {_BY_HAND}"
        elif not going and each.tags.get(VERIFIED) == "yes":
            why = f"its image was verified and not deregistered by this stack: {_BY_HAND}"
        elif not (going or of_volume):
            why = f"bears tags of this stack, but nothing shows that a build left it: {_BY_HAND}"
        told = why or ("its image is deregistered" if going else "left by a build")
        called = name or each.tags.get("Name") or volumes.get(each.volume_id, "")
        return Leftover("snapshot", each.snapshot_id, called, told, stays=bool(why))

    def _is_going(self, tags: Mapping[str, str], identifier: str) -> bool:
        """Whether this stack removed its OMI or VM and it should follow."""
        return tags.get(GOING) == going_mark(self.builds.owner.stack_id, identifier)

    def _find_vms(self) -> list[Leftover]:
        return [left for vm in self._vms if (left := self._vm(vm)) is not None]

    def _vm(self, vm: CloudVm) -> Leftover | None:
        if name := self._left_by(vm):
            return Leftover("VM", vm.vm_id, name, "left by a build or its check")
        build = self._build_of(vm.key_name, _KEYS)
        if build is None and not self.builds.owner.owns(vm.tags):
            return None
        self._busy |= {build, vm.tags.get(BUILD_ID)}
        is_protected = self._protected(self._by_id.get(build or ""))
        why = "is of a protected image" if is_protected else "not both keypair and tags are of one build"
        return Leftover("VM", vm.vm_id, vm.tags.get("Name", ""), f"{why}: {_BY_HAND}", stays=True)

    def _find_volumes(self) -> list[Leftover]:
        """Find volumes, except those of leftover VMs, which go with their VM."""
        held = {each for vm in self._vms for each in vm.volumes}
        found = []
        for each in listed(self.cloud, CloudVolume):
            if each.volume_id in held or each.state == "deleting" or not self.builds.owner.owns(each.tags):
                continue
            name = self._name_of(each.tags)
            logged = each.volume_id in self.builds.volumes and name is not None
            stays = not (logged or self._is_going(each.tags, each.volume_id)) or self._protected(name)
            why = f"bears tags of this stack, but nothing shows that a build left it: {_BY_HAND}"
            told = why if stays else "left by a build"
            found.append(Leftover("volume", each.volume_id, name or each.tags.get("Name", ""), told, stays))
        return found

    def _find_keypairs(self) -> list[Leftover]:
        return [
            left for pair in listed(self.cloud, CloudKeypair) for left in self._entry("keypair", pair.name, pair.name)
        ]

    def _find_groups(self) -> list[Leftover]:
        return [left for each in listed(self.cloud, Group) for left in self._entry("group", each.group_id, each.name)]

    def _entry(self, kind: str, identifier: str, called: str) -> Iterator[Leftover]:
        build = self._build_of(called, _KEYS if kind == "keypair" else ("",))
        if build is None:
            return
        name, why = self._by_id.get(build), ""
        if build in self._busy or self._protected(name):
            why = "is of a VM that stays, or of a protected image"
        elif name is None:
            why = f"is of a build of this stack, but nothing shows of which image: {_BY_HAND}"
        yield Leftover(kind, identifier, name or "", why or "left by a build or its check", stays=bool(why))


def clean_up(search: Search, say: Callable[[str], None]) -> None:
    """Remove leftovers, kind by kind. Goes on after a failure and raises the first CloudError at the end."""
    failures: list[CloudError] = []
    for find in search.kinds:
        try:
            remove_leftovers(search, find(), say)
        except CloudError as error:
            failures.append(error)
    if failures:
        raise failures[0]


def remove_leftovers(
    search: Search, found: Sequence[Leftover], say: Callable[[str], None], store: ObjectStore | None = None
) -> None:
    """Remove and report those that may go; one that is gone already counts as done. `store` has the buckets.

    Goes on after a failure and raises the first CloudError at the end.
    """
    cloud, owner = search.cloud, search.builds.owner
    ours = {left.id: Ours(owner.proof, build_id_of(owner, left.name) if left.name else "") for left in found}
    how: dict[str, Callable[[str], Any]] = {
        "image": lambda omi: delete_omi(cloud, read_omi(cloud, omi), (), ours[omi], say, spare=search.builds.spare),
        "snapshot": lambda snapshot: _delete_marked(cloud, snapshot, ours[snapshot]),
        "VM": lambda vm: end_vm(cloud, vm, owner.stack_id),
        "volume": lambda volume: delete_volume(cloud, volume),
        "keypair": lambda name: delete_key(cloud, name),
        "group": lambda group: delete_group(cloud, group),
    }
    if store is not None:
        how["bucket"] = lambda bucket: store.drop(bucket, lambda mark: mark.stack_id == owner.stack_id)
    failures: list[CloudError] = []
    for left in found:
        if left.stays:
            continue
        try:
            how[left.kind](left.id)
            say(f"removed {left.kind} {left.id}")
        except CloudError as error:
            failures.append(error)
            say(f"not removed: {left.kind} {left.id}: {error}")
    if failures:
        raise failures[0]


def _delete_marked(cloud: Cloud, snapshot: str, ours: Ours) -> None:
    """Delete a snapshot. It gets a tag first, if the cloud lets it: then a sweep recognises it after its VM is gone."""
    with suppress(CloudError):
        mark_going(cloud, [snapshot], ours)
    delete_snapshot(cloud, snapshot)


def find_buckets(store: ObjectStore, owner: Owner, runs: Collection[str]) -> list[Leftover]:
    """Find buckets of copies to another Region: those that bear this stack's mark, and those named after one of `runs`
    (ImageSpec.run) without a mark, of which only an empty one may go.
    """
    names = tuple(_bucket_of(owner, run) for run in runs)
    found = []
    for bucket in store.own():
        try:
            mark = store.mark_of(bucket)
        except RefusedKeyError:
            raise
        except OmiError as error:
            found.append(Leftover("bucket", bucket, "", f"whose it is can't be read: {error}", stays=True))
            continue
        run = mark.run if mark and mark.stack_id == owner.stack_id else ""
        ours = bucket.startswith(_bucket_of(owner, run))
        if ours or (mark is None and bucket.startswith(names)):
            stays = not ours and bool(store.keys(bucket))
            why = f"is named like a copy's bucket, but has no mark: {_BY_HAND}"
            found.append(Leftover("bucket", bucket, run, why if stays else "left by a copy to another Region", stays))
        elif run:
            why = f"bears this stack's mark, but not its name: {_BY_HAND}"
            found.append(Leftover("bucket", bucket, run, why, stays=True))
    return found


def _bucket_of(owner: Owner, run: str) -> str:
    return prefix_of(build_id_of(owner, run).removeprefix("b-"))
