"""Short-lived VMs: launches them from an OMI, watches, stops by the power button, and terminates them."""

from __future__ import annotations

import base64
import binascii
import threading
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

from omi.outscale.busy import remove
from omi.outscale.client import Cloud
from omi.outscale.images import put_tags
from omi.outscale.shapes import CloudVm, CloudVolume, listed, parsed
from omi.outscale.waiting import NEVER, NotInTimeError, wait_until
from omi.state.owner import GOING, STACK_ID, going_mark
from omi.support.errors import CloudError


@dataclass(frozen=True)
class Launch:
    """A VM to launch; `root_size` in GiB."""

    omi_id: str
    vm_type: str
    key_name: str
    group_id: str
    root_device: str
    root_size: int
    tags: Mapping[str, str]
    boot_mode: str | None = None
    """None means the OMI's own."""
    subregion: str | None = None
    """None leaves it to OUTSCALE."""
    subnet: str | None = None


def launch_vm(cloud: Cloud, wanted: Launch) -> str:
    """Start a VM whose root volume is deleted with it; returns its id. After a lost answer it is found by its
    keypair."""
    bsu = {"VolumeSize": wanted.root_size, "DeleteOnVmDeletion": True}
    parameters: dict[str, Any] = {
        "ClientToken": uuid.uuid4().hex,
        "ImageId": wanted.omi_id,
        "VmType": wanted.vm_type,
        "KeypairName": wanted.key_name,
        "SecurityGroupIds": [wanted.group_id],
        "BlockDeviceMappings": [{"DeviceName": wanted.root_device, "Bsu": bsu}],
        "MinVmsCount": 1,
        "MaxVmsCount": 1,
    }
    if wanted.boot_mode:
        parameters["BootMode"] = wanted.boot_mode
    if wanted.subregion:
        parameters["Placement"] = {"SubregionName": wanted.subregion}
    if wanted.subnet:
        parameters["SubnetId"] = wanted.subnet
    vms = cloud.call("CreateVms", parameters)["Vms"]
    vm = parsed(CloudVm, vms[0] if isinstance(vms, list) and vms else None, "CreateVms", cloud)
    put_tags(cloud, [vm.vm_id], wanted.tags)
    return vm.vm_id


def wait_running(cloud: Cloud, vm_id: str, limit: float, stop: threading.Event = NEVER) -> CloudVm:
    """Wait until the VM runs and has an address; CloudError if it ends instead."""

    def seen() -> CloudVm:
        vm = read_vm(cloud, vm_id)
        if vm is None or vm.is_lost or vm.state in {"stopping", "stopped"}:
            raise CloudError(
                f"{vm_id} is {vm.state if vm else 'gone'} instead of running; look at its console, run again"
            )
        return vm

    return wait_until(
        seen,
        lambda vm: vm.state == "running" and bool(vm.address),
        f"{vm_id} to run with an address",
        limit,
        stop=stop,
        setting="vm.verify_timeout",
    )


def read_vm(cloud: Cloud, vm_id: str) -> CloudVm | None:
    """The VM of this id, or None."""
    return next((vm for vm in listed(cloud, CloudVm, VmIds=[vm_id]) if vm.vm_id == vm_id), None)


def stop_vm(cloud: Cloud, vm_id: str, limit: float, stop: threading.Event = NEVER) -> bool:
    """Press the power button; returns whether the VM stopped within `limit` seconds."""
    cloud.call("StopVms", {"VmIds": [vm_id]})
    try:
        wait_until(
            lambda: read_vm(cloud, vm_id),
            lambda vm: vm is None or vm.is_lost or vm.state == "stopped",
            f"{vm_id} to stop",
            limit,
            stop=stop,
            setting="cloud.limits.power_off",
        )
    except NotInTimeError:
        return False
    return True


def terminate_vm(cloud: Cloud, vm_id: str) -> None:
    """End the VM and wait until it is terminated; one that is already gone counts as done."""
    remove(partial(cloud.call, "DeleteVms", {"VmIds": [vm_id]}), cloud.limits.vm_end)
    wait_until(
        partial(read_vm, cloud, vm_id),
        lambda vm: vm is None or vm.state == "terminated",
        f"{vm_id} to be terminated",
        cloud.limits.vm_end,
        setting="cloud.limits.vm_end",
    )


def end_vm(cloud: Cloud, vm_id: str, stack_id: str) -> None:
    """Terminate a VM, then delete the stack's volumes that were attached to it and still exist.

    They get a tag first; a sweep recognises them by it after an interruption.
    """
    vm = read_vm(cloud, vm_id)
    hung = vm.volumes if vm else ()
    own = [
        each.volume_id
        for each in listed(cloud, CloudVolume, VolumeIds=hung)
        if each.volume_id in hung and each.bears({STACK_ID: stack_id})
    ]
    for volume in own:
        put_tags(cloud, [volume], {GOING: going_mark(stack_id, volume)})
    terminate_vm(cloud, vm_id)
    for volume in own:
        delete_volume(cloud, volume)


def console_tail(cloud: Cloud, vm_id: str, lines: int) -> str:
    """The last non-empty lines of the serial console; empty when there is nothing yet."""
    output = cloud.call("ReadConsoleOutput", {"VmId": vm_id}).get("ConsoleOutput") or ""
    try:
        text = base64.b64decode(output).decode(errors="replace")
    except (binascii.Error, TypeError, ValueError) as error:
        raise CloudError(f"ReadConsoleOutput at {cloud.access.api}: cannot be read: it is not base64") from error
    printable = [" ".join("".join(c if c.isprintable() else " " for c in line).split()) for line in text.splitlines()]
    return "\n".join([line for line in printable if line][-lines:])


def delete_volume(cloud: Cloud, volume_id: str) -> bool:
    """Delete a volume once nothing uses it; returns False if it was already gone."""
    return remove(partial(cloud.call, "DeleteVolume", {"VolumeId": volume_id}), cloud.limits.in_use)
