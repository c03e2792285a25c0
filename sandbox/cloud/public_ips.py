"""Public IPs that an account holds and links to its VMs."""

from __future__ import annotations

import ipaddress

from sandbox.cloud import metadata
from sandbox.cloud.context import LocalCloud
from sandbox.cloud.errors import Fail, RefusedError
from sandbox.cloud.ids import new_id
from sandbox.cloud.model import Account, PublicIp, Vm


def allocate(cloud: LocalCloud, caller: Account) -> PublicIp:
    """A new address (a loopback one)."""
    with cloud.transaction():
        return cloud.make(PublicIp, caller, slot=cloud.free_slot())


def find(cloud: LocalCloud, caller: Account, *, address_id: str | None = None, ip: str | None = None) -> PublicIp:
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


def release(cloud: LocalCloud, address: PublicIp) -> None:
    """Give an address back; it must not be linked."""
    with cloud.transaction() as store:
        if address.vm_id is not None:
            raise RefusedError(Fail.PUBLIC_IP_IN_USE, f"The public IP {address.id} is linked to {address.vm_id}.")
        store.delete(address)


def link(cloud: LocalCloud, caller: Account, address: PublicIp, vm_id: str, *, allow_relink: bool) -> PublicIp:
    """Give a VM this address in place of its own; a VM has one at a time."""
    with cloud.transaction() as store:
        vm = cloud.own(caller, Vm, vm_id, Fail.NO_VM)
        if vm.state not in ("pending", "running", "stopping", "stopped"):
            raise RefusedError(Fail.STATE, f"The VM {vm_id} is {vm.state}.")
        if address.vm_id not in (None, vm_id) and not allow_relink:
            raise RefusedError(Fail.PUBLIC_IP_LINKED, f"The public IP {address.id} is linked to {address.vm_id}.")
        for other in cloud.owned(caller, PublicIp):
            if other.vm_id == vm_id and other.id != address.id:
                store.put(other.model_copy(update={"vm_id": None, "link_id": None}))
        linked = store.put(address.model_copy(update={"vm_id": vm_id, "link_id": new_id("eipassoc")}))
        metadata.refresh_later(cloud, vm_id)
        return linked


def unlink(cloud: LocalCloud, caller: Account, *, link_id: str | None, ip: str | None) -> None:
    """Take an address off its VM, which gets its own back."""
    with cloud.transaction() as store:
        for each in cloud.owned(caller, PublicIp):
            wanted = each.link_id == link_id if link_id else cloud.addresses.public_ip(each.slot) == ip
            if wanted and each.vm_id is not None:
                store.put(each.model_copy(update={"vm_id": None, "link_id": None}))
                metadata.refresh_later(cloud, each.vm_id)
                return
        raise RefusedError(Fail.NO_PUBLIC_IP_LINK, f"No public IP is linked as '{link_id or ip}'.")


def linked_to(cloud: LocalCloud, vm_id: str) -> PublicIp | None:
    """The held address that a VM bears, if one is linked to it."""
    return next((each for each in cloud.store.all(PublicIp) if each.vm_id == vm_id), None)


def public_ip_of(cloud: LocalCloud, vm: Vm) -> str | None:
    """The VM's public address now: a linked one, or outside of Nets its own while it is pending or running."""
    held = linked_to(cloud, vm.id)
    if held is not None:
        return cloud.addresses.public_ip(held.slot)
    own = vm.subnet_id is None and vm.state in ("pending", "running")
    return cloud.addresses.public_ip(vm.slot) if own else None
