"""What the account holds, read for a plan in three calls, however many images there are."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from omi.account import AccountImage, AccountView
from omi.errors import CloudError
from omi.identity import build_id_of
from omi.outscale.oapi import Oapi
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


class _Image(_Part):
    """An image as ReadImages tells it (OAPI's reference, schema Image)."""

    omi: str = Field(alias="ImageId")
    owner: str = Field(alias="AccountId")
    name: str = Field(default="", alias="ImageName")
    state: str = Field(default="", alias="State")
    description: str = Field(default="", alias="Description")
    tags: tuple[_Tag, ...] = Field(default=(), alias="Tags")
    permissions: _Permissions | None = Field(default=None, alias="PermissionsToLaunch")


class _Vm(_Part):
    """A VM as ReadVms tells it (OAPI's reference, schema Vm)."""

    vm: str = Field(alias="VmId")
    omi: str = Field(default="", alias="ImageId")
    state: str = Field(default="", alias="State")


def read_account(oapi: Oapi, project: str, stack: str, expected: Iterable[str] = ()) -> AccountView:
    """All OMIs of the account in its Region, with their launch permissions and the account's VMs that run from them.

    By OAPI and not by FCU, since ReadImages tells all launch permissions at once, where FCU has to be asked for each
    image. ReadAccounts goes first and alone, so that a wrong key is tried once. Those of the `expected` ids that the
    list lacks are asked for by id before they count as gone. Raises CredentialsError or CloudError.
    """
    account = oapi.account
    with ThreadPoolExecutor(max_workers=1, thread_name_prefix="vms") as other:
        used = other.submit(_vms_by_omi, oapi)
        images = _images(oapi, {"AccountIds": [account]})
        if missing := set(expected) - {image.omi for image in images}:
            images += _images(oapi, {"ImageIds": sorted(missing)})
        vms = used.result()
    # compared again here, should the cloud have ignored the filter: then all public images came, too
    own = [image for image in images if image.owner == account]
    return AccountView.of((_view(image, project, stack, vms.get(image.omi, [])) for image in own), account)


def _images(oapi: Oapi, filters: Mapping[str, list[str]]) -> list[_Image]:
    return [_read(_Image, item, "ReadImages", oapi) for item in oapi.read_all("ReadImages", "Images", filters)]


def _vms_by_omi(oapi: Oapi) -> Mapping[str, list[str]]:
    found: dict[str, list[str]] = {}
    for item in oapi.read_all("ReadVms", "Vms", {}):
        vm = _read(_Vm, item, "ReadVms", oapi)
        if vm.state not in _ENDED:
            found.setdefault(vm.omi, []).append(vm.vm)
    return found


def _view(image: _Image, project: str, stack: str, vms: list[str]) -> AccountImage:
    tags = {tag.key: tag.value for tag in image.tags}
    digest = tags.get("digest")
    unfinished = image.state != "available" or digest is None
    permissions = image.permissions
    return AccountImage(
        name=image.name,
        omi=image.omi,
        tags=tags,
        managed=tags.get("project") == project and tags.get("stack") == stack,
        half_made=unfinished and build_id_of(project, stack, image.name) in image.description,
        digest=digest,
        access=Access(public=permissions.public, accounts=tuple(sorted(permissions.accounts))) if permissions else None,
        used_by=tuple(sorted(vms)),
    )


def _read(kind: type[_P], item: object, action: str, oapi: Oapi) -> _P:
    try:
        return kind.model_validate(item)
    except ValidationError as error:
        first = error.errors()[0]
        key = ".".join(str(part) for part in first["loc"])
        raise CloudError(f"{action} at {oapi.access.api}: cannot be read: {key}: {first['msg']}") from error
