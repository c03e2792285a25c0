"""Remedies for OUTSCALE's refusals, by the code and type that its API gives (docs.outscale.com, api-errors)."""

from __future__ import annotations

from collections.abc import Mapping

QUOTA = "the account's quota is used up: remove what is not needed or ask OUTSCALE for more, then run again"
_CAPACITY = (
    "OUTSCALE has no room for a VM of this type there now: set vm.subregion to another Subregion, or vm.vm_type and "
    "vm.verify_vm_type to another type, or run again later"
)
_POLICY = "allow it in the EIM user's policy: docs/eim-policy.json holds all that a build needs"
_LOCKED = "the key is locked after wrong tries: wait a minute, then run again with the right one"
SUBREGION = "set vm.subregion to a Subregion that the Region has, or take it out"
SUBNET = "set vm.subnet to a Subnet that has room in that account, Region and Subregion, or take it out"
TYPE = "set vm.vm_type and vm.verify_vm_type to types that the Region has"
_BY_CODE: Mapping[str, str] = {
    "4": _POLICY,
    "5": _POLICY,
    "7": _POLICY,
    "11": "the access is locked for good: OUTSCALE's support unlocks it",
    "13": _LOCKED,
    "14": "the account's API access rules don't let this machine in: add its address to one of them",
    "20": "the account's password has expired: renew it in Cockpit",
    "4073": TYPE,
    "4081": SUBREGION,
    "5023": "the OMI is gone: run again",
    "5024": TYPE,
    "5057": SUBNET,
    "5059": TYPE,
    "9015": "another OMI of the account bears the name: run again, and it is adopted",
}


def cure_of(code: str, kind: str) -> str:
    """The remedy for a refusal of this code and type; empty if none is known."""
    if kind.startswith("TooManyResources"):
        return QUOTA
    if kind.startswith("InsufficientCapacity"):
        return _CAPACITY
    return _BY_CODE.get(code, "")
