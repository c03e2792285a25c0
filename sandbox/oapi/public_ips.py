"""OAPI: public IPs."""

from __future__ import annotations

from sandbox.cloud import public_ips
from sandbox.cloud.context import LocalCloud
from sandbox.cloud.errors import Fail, RefusedError
from sandbox.cloud.filters import Getter, maybe
from sandbox.cloud.model import Account, PublicIp, Vm
from sandbox.cloud.request import Request
from sandbox.oapi.base import Json, ReadRequest, action, filtered, paged, tag_getters, tag_views, without_none


def address_view(cloud: LocalCloud, address: PublicIp) -> Json:
    vm = cloud.store.get(Vm, address.vm_id) if address.vm_id else None
    return without_none(
        {
            "LinkPublicIpId": address.link_id,
            "PrivateIp": vm.private_ip if vm else None,
            "PublicIp": cloud.addresses.public_ip(address.slot),
            "PublicIpId": address.id,
            "Tags": tag_views(address),
            "VmId": address.vm_id,
        }
    )


def _filters(cloud: LocalCloud) -> dict[str, Getter[PublicIp]]:
    return {
        "LinkPublicIpIds": lambda one: maybe(one.link_id),
        "Placements": lambda one: ["standard"],
        "PublicIpIds": lambda one: [one.id],
        "PublicIps": lambda one: [cloud.addresses.public_ip(one.slot)],
        "VmIds": lambda one: maybe(one.vm_id),
        **tag_getters(),
    }


@action("ReadPublicIps", ReadRequest)
def read_addresses(cloud: LocalCloud, caller: Account, request: ReadRequest) -> Json:
    found = filtered(request, cloud.owned(caller, PublicIp), _filters(cloud))
    return paged(request, "PublicIps", [address_view(cloud, each) for each in found])


@action("CreatePublicIp", Request)
def create_address(cloud: LocalCloud, caller: Account, request: Request) -> Json:
    return {"PublicIp": address_view(cloud, public_ips.allocate(cloud, caller))}


class DeletePublicIpRequest(Request):
    public_ip: str | None = None
    public_ip_id: str | None = None


@action("DeletePublicIp", DeletePublicIpRequest)
def delete_address(cloud: LocalCloud, caller: Account, request: DeletePublicIpRequest) -> Json:
    address = public_ips.find(cloud, caller, address_id=request.public_ip_id, ip=request.public_ip)
    public_ips.release(cloud, address)
    return {}


class LinkPublicIpRequest(Request):
    allow_relink: bool | None = None
    nic_id: str | None = None
    private_ip: str | None = None
    public_ip: str | None = None
    public_ip_id: str | None = None
    vm_id: str | None = None


@action("LinkPublicIp", LinkPublicIpRequest)
def link_address(cloud: LocalCloud, caller: Account, request: LinkPublicIpRequest) -> Json:
    if not request.vm_id:
        raise RefusedError(Fail.MISSING_PARAMETER, "The parameter 'VmId' is required.")
    cloud.own(caller, Vm, request.vm_id, Fail.NO_VM)
    address = public_ips.find(cloud, caller, address_id=request.public_ip_id, ip=request.public_ip)
    linked = public_ips.link(cloud, caller, address, request.vm_id, allow_relink=bool(request.allow_relink))
    return {"LinkPublicIpId": linked.link_id}


class UnlinkPublicIpRequest(Request):
    link_public_ip_id: str | None = None
    public_ip: str | None = None


@action("UnlinkPublicIp", UnlinkPublicIpRequest)
def unlink_address(cloud: LocalCloud, caller: Account, request: UnlinkPublicIpRequest) -> Json:
    public_ips.unlink(cloud, caller, link_id=request.link_public_ip_id, ip=request.public_ip)
    return {}
