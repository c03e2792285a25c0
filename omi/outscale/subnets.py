"""Finds the Subnet for a stack's VMs."""

from __future__ import annotations

from omi.outscale.client import Cloud
from omi.outscale.cures import SUBNET
from omi.outscale.shapes import CloudSubnet, listed
from omi.state.image import BuildVm
from omi.support.errors import CloudError


def find_subnet(cloud: Cloud, vm: BuildVm) -> CloudSubnet | None:
    """The Subnet that `vm.subnet` names; None if that isn't set. Raises CloudError if no VM can run there."""
    if vm.subnet is None:
        return None
    wanted = (each for each in listed(cloud, CloudSubnet, SubnetIds=[vm.subnet]) if each.subnet_id == vm.subnet)
    found = next(wanted, None)
    if found is None:
        problem = f"is not there in Region {cloud.access.region} for account {cloud.account}"
    elif found.state != "available":
        problem = f"is {found.state}"
    elif vm.subregion not in (None, found.subregion):
        problem = f"is in Subregion {found.subregion}, and vm.subregion is {vm.subregion}"
    elif found.free < 1:
        problem = f"has no free address in {found.ip_range}"
    else:
        return found
    raise CloudError(f"vm.subnet: {vm.subnet} {problem}: {SUBNET}")
