"""OAPI: public IPs that an account holds and links to its VMs."""

from __future__ import annotations

import ipaddress

from sandbox.cloud import metadata
from sandbox.cloud.context import LocalCloud
from sandbox.cloud.errors import Fail, RefusedError
from sandbox.cloud.ids import new_id
from sandbox.cloud.model import Account, PublicIp, Vm
from sandbox.oapi.base import Json, action, listing, tag_views, without_none

_FREE = {"vm_id": None, "link_id": None}


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


@listing("PublicIps", "LinkPublicIpIds PublicIpIds PublicIps VmIds", Placements="=standard")
def read_addresses(cloud: LocalCloud, caller: Account) -> list[Json]:
    return [address_view(cloud, each) for each in cloud.owned(caller, PublicIp)]


@action("CreatePublicIp")
def create_address(cloud: LocalCloud, caller: Account) -> Json:
    return {"PublicIp": address_view(cloud, cloud.make(PublicIp, caller, slot=cloud.free_slot()))}


def _find(cloud: LocalCloud, caller: Account, address_id: str | None, ip: str | None) -> PublicIp:
    """The caller's public IP of that id or address."""
    if address_id and ip:
        raise RefusedError(Fail.BAD_COMBINATION, "PublicIpId and PublicIp can't be given at once.")
    if address_id:
        found = cloud.store.get(PublicIp, address_id)
        if found is None or found.account_id != caller.id:
            raise RefusedError(Fail.NO_PUBLIC_IP_ID, f"The public IP '{address_id}' does not exist.")
        return found
    if not ip:
        raise RefusedError(Fail.MISSING_PARAMETER, "The parameter 'PublicIpId' or 'PublicIp' is required.")
    try:
        ipaddress.ip_address(ip)
    except ValueError:
        raise RefusedError(Fail.BAD_VALUE, f"'{ip}' is not an IP address.") from None
    for each in cloud.owned(caller, PublicIp):
        if cloud.addresses.public_ip(each.slot) == ip:
            return each
    raise RefusedError(Fail.NO_PUBLIC_IP, f"The public IP '{ip}' does not exist.")


@action("DeletePublicIp")
def delete_address(
    cloud: LocalCloud, caller: Account, *, public_ip: str | None = None, public_ip_id: str | None = None
) -> None:
    """Give an address back; it must not be linked."""
    address = _find(cloud, caller, public_ip_id, public_ip)
    if address.vm_id is not None:
        raise RefusedError(Fail.PUBLIC_IP_IN_USE, f"The public IP {address.id} is linked to {address.vm_id}.")
    cloud.store.delete(address)


@action("LinkPublicIp")
def link_address(
    cloud: LocalCloud,
    caller: Account,
    *,
    allow_relink: bool | None = None,
    nic_id: str | None = None,
    private_ip: str | None = None,
    public_ip: str | None = None,
    public_ip_id: str | None = None,
    vm_id: str | None = None,
) -> Json:
    """Give a VM this address in place of its own; a VM has one at a time."""
    if not vm_id:
        raise RefusedError(Fail.MISSING_PARAMETER, "The parameter 'VmId' is required.")
    vm = cloud.own(caller, Vm, vm_id, Fail.NO_VM)
    address = _find(cloud, caller, public_ip_id, public_ip)
    if vm.state not in ("pending", "running", "stopping", "stopped"):
        raise RefusedError(Fail.STATE, f"The VM {vm_id} is {vm.state}.")
    if address.vm_id not in (None, vm_id) and not allow_relink:
        raise RefusedError(Fail.PUBLIC_IP_LINKED, f"The public IP {address.id} is linked to {address.vm_id}.")
    for other in cloud.owned(caller, PublicIp):
        if other.vm_id == vm_id and other.id != address.id:
            cloud.store.put(other.model_copy(update=_FREE))
    linked = cloud.store.put(address.model_copy(update={"vm_id": vm_id, "link_id": new_id("eipassoc")}))
    metadata.refresh_later(cloud, vm_id)
    return {"LinkPublicIpId": linked.link_id}


@action("UnlinkPublicIp")
def unlink_address(
    cloud: LocalCloud, caller: Account, *, link_public_ip_id: str | None = None, public_ip: str | None = None
) -> None:
    """Take an address off its VM, which gets its own back."""
    for each in cloud.owned(caller, PublicIp):
        ours = each.link_id if link_public_ip_id else cloud.addresses.public_ip(each.slot)
        if ours == (link_public_ip_id or public_ip) and each.vm_id is not None:
            cloud.store.put(each.model_copy(update=_FREE))
            metadata.refresh_later(cloud, each.vm_id)
            return
    raise RefusedError(Fail.NO_PUBLIC_IP_LINK, f"No public IP is linked as '{link_public_ip_id or public_ip}'.")
