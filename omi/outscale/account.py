"""What the account holds, read for a plan in three calls, and one more for the snapshots, however many images."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from omi.account import AccountImage, AccountView
from omi.errors import CloudError
from omi.outscale.oapi import Oapi
from omi.owner import Owner, build_id_of
from omi.profile.model import Access

_ENDED = frozenset({"shutting-down", "terminated"})


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore")


_P = TypeVar("_P", bound=_Part)


class _Tag(_Part):
    key: str = Field(alias="Key")
    value: str = Field(default="", alias="Value")


class _Permissions(_Part):
    accounts: tuple[str, ...] = Field(default=(), alias="AccountIds")
    public: bool = Field(default=False, alias="GlobalPermission")


class _MappedVolume(_Part):
    snapshot: str = Field(default="", alias="SnapshotId")


class _Mapping(_Part):
    volume: _MappedVolume | None = Field(default=None, alias="Bsu")


class _Image(_Part):
    """An image as ReadImages tells it (OAPI's reference, schema Image)."""

    omi: str = Field(alias="ImageId")
    owner: str = Field(alias="AccountId")
    name: str = Field(default="", alias="ImageName")
    state: str = Field(default="", alias="State")
    description: str = Field(default="", alias="Description")
    tags: tuple[_Tag, ...] = Field(default=(), alias="Tags")
    permissions: _Permissions | None = Field(default=None, alias="PermissionsToLaunch")
    mappings: tuple[_Mapping, ...] = Field(default=(), alias="BlockDeviceMappings")

    @property
    def snapshots(self) -> set[str]:
        """What it is made of."""
        return {mapping.volume.snapshot for mapping in self.mappings if mapping.volume}


class _Snapshot(_Part):
    """A snapshot as ReadSnapshots tells it (OAPI's reference, schema Snapshot)."""

    snapshot: str = Field(alias="SnapshotId")
    owner: str = Field(default="", alias="AccountId")
    permissions: _Permissions | None = Field(default=None, alias="PermissionsToCreateVolume")


class _Vm(_Part):
    """A VM as ReadVms tells it (OAPI's reference, schema Vm)."""

    vm: str = Field(alias="VmId")
    omi: str = Field(default="", alias="ImageId")
    state: str = Field(default="", alias="State")


def read_account(
    oapi: Oapi, owner: Owner, expected: Iterable[str] = (), snapshots: Collection[str] = ()
) -> AccountView:
    """All OMIs of the account in its Region, with their launch permissions and the account's VMs that run from them.

    By OAPI and not by FCU, since ReadImages tells all launch permissions at once, where FCU has to be asked for each
    image. ReadAccounts goes first and alone, so that a wrong key is tried once. Those of the `expected` ids that the
    list lacks are asked for by id before they count as gone. Of these `snapshots` is told which of them others may use.
    Raises CredentialsError or CloudError.
    """
    account = oapi.account
    with ThreadPoolExecutor(max_workers=2, thread_name_prefix="account") as other:
        used = other.submit(_vms_by_omi, oapi)
        opened = other.submit(_open_snapshots, oapi, account, snapshots)
        images = _images(oapi, {"AccountIds": [account]})
        if missing := set(expected) - {image.omi for image in images}:
            images += _images(oapi, {"ImageIds": sorted(missing)})
        vms = used.result()
    # compared again here, should the cloud have ignored the filter: then all public images came, too
    own = [image for image in images if image.owner == account]
    is_open = opened.result()
    views = (_view(image, owner, vms.get(image.omi, []), image.snapshots & is_open) for image in own)
    return AccountView.of(views, account)


def _images(oapi: Oapi, filters: Mapping[str, list[str]]) -> list[_Image]:
    return [_read(_Image, item, "ReadImages", oapi) for item in oapi.read_all("ReadImages", "Images", filters)]


def _vms_by_omi(oapi: Oapi) -> Mapping[str, list[str]]:
    found: dict[str, list[str]] = {}
    for item in oapi.read_all("ReadVms", "Vms", {}):
        vm = _read(_Vm, item, "ReadVms", oapi)
        if vm.state not in _ENDED:
            found.setdefault(vm.omi, []).append(vm.vm)
    return found


def _open_snapshots(oapi: Oapi, account: str, wanted: Collection[str]) -> frozenset[str]:
    if not wanted:
        return frozenset()
    found = [
        _read(_Snapshot, item, "ReadSnapshots", oapi)
        for item in oapi.read_all("ReadSnapshots", "Snapshots", {"SnapshotIds": sorted(wanted)})
    ]
    return frozenset(
        each.snapshot
        for each in found
        if each.permissions and (each.permissions.public or set(each.permissions.accounts) - {account})
    )


def _view(image: _Image, owner: Owner, vms: list[str], opened: set[str]) -> AccountImage:
    tags = {tag.key: tag.value for tag in image.tags}
    digest = tags.get("digest")
    unfinished = image.state != "available" or digest is None
    permissions = image.permissions
    return AccountImage(
        name=image.name,
        omi=image.omi,
        tags=tags,
        managed=owner.owns(tags),
        half_made=unfinished and build_id_of(owner, image.name) in image.description,
        digest=digest,
        access=Access(public=permissions.public, accounts=tuple(sorted(permissions.accounts))) if permissions else None,
        used_by=tuple(sorted(vms)),
        open_snapshots=tuple(sorted(opened)),
    )


def _read(kind: type[_P], item: object, action: str, oapi: Oapi) -> _P:
    try:
        return kind.model_validate(item)
    except ValidationError as error:
        first = error.errors()[0]
        key = ".".join(str(part) for part in first["loc"])
        raise CloudError(f"{action} at {oapi.access.api}: cannot be read: {key}: {first['msg']}") from error
