"""Short-lived VMs: launched from an OMI, watched, stopped by the power button, and terminated."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

from omi.errors import CloudError
from omi.outscale.busy import is_gone, remove
from omi.outscale.cloud import Cloud
from omi.outscale.images import put_tags
from omi.outscale.waiting import NotInTimeError, wait_until

if TYPE_CHECKING:
    from mypy_boto3_ec2.type_defs import FilterTypeDef, InstanceTypeDef

_NEVER = threading.Event()
_LOST = frozenset({"terminated", "shutting-down", "quarantine"})


@dataclass(frozen=True)
class Vm:
    """A VM as FCU describes it; `public_ip` is empty until it has one."""

    vm_id: str
    state: str
    key_name: str
    public_ip: str
    volumes: tuple[str, ...]
    tags: Mapping[str, str]

    @property
    def is_lost(self) -> bool:
        """Whether it will never run again, so that waiting for it is in vain."""
        return self.state in _LOST


@dataclass(frozen=True)
class Launch:
    """What to launch; `root_size` in GiB."""

    omi_id: str
    vm_type: str
    key_name: str
    group_id: str
    root_device: str
    root_size: int
    tags: Mapping[str, str]
    boot_mode: str | None = None
    """None takes the OMI's own."""
    subregion: str | None = None
    """None leaves it to OUTSCALE."""


def launch_vm(cloud: Cloud, wanted: Launch) -> str:
    """Start one VM whose root volume goes with it; returns its id. A try that was lost is found by its key's name."""
    vm_id = _run(cloud, wanted) if wanted.boot_mode is None else _create(cloud, wanted, wanted.boot_mode)
    put_tags(cloud, [vm_id], wanted.tags)
    return vm_id


def _create(cloud: Cloud, wanted: Launch, boot_mode: str) -> str:
    """By OAPI, since FCU can't choose the boot mode."""
    bsu = {"VolumeSize": wanted.root_size, "DeleteOnVmDeletion": True}
    parameters = {
        "ImageId": wanted.omi_id,
        "VmType": wanted.vm_type,
        "KeypairName": wanted.key_name,
        "SecurityGroupIds": [wanted.group_id],
        "BlockDeviceMappings": [{"DeviceName": wanted.root_device, "Bsu": bsu}],
        "BootMode": boot_mode,
        **({"Placement": {"SubregionName": wanted.subregion}} if wanted.subregion else {}),
    }
    try:
        return str(cloud.oapi.change("CreateVms", parameters)["Vms"][0]["VmId"])
    except (KeyError, IndexError, TypeError) as error:
        raise CloudError("CreateVms: its answer names no VM; run again") from error


def _run(cloud: Cloud, wanted: Launch) -> str:
    ebs = {"VolumeSize": wanted.root_size, "DeleteOnTermination": True}
    mapping: Any = [{"DeviceName": wanted.root_device, "Ebs": ebs}]
    vm_type: Any = wanted.vm_type
    placement: Any = {"Placement": {"AvailabilityZone": wanted.subregion}} if wanted.subregion else {}
    answer = cloud.call(
        cloud.ec2.run_instances,
        ImageId=wanted.omi_id,
        InstanceType=vm_type,
        KeyName=wanted.key_name,
        SecurityGroupIds=[wanted.group_id],
        BlockDeviceMappings=mapping,
        MinCount=1,
        MaxCount=1,
        **placement,
    )
    try:
        return answer["Instances"][0]["InstanceId"]
    except (KeyError, IndexError) as error:
        raise CloudError("RunInstances: its answer names no VM; run again") from error


def wait_running(cloud: Cloud, vm_id: str, limit: float, stop: threading.Event = _NEVER) -> Vm:
    """Wait until the VM runs and has a public address; CloudError if it ends instead."""

    def seen() -> Vm:
        vm = read_vm(cloud, vm_id)
        if vm is None or vm.is_lost or vm.state in {"stopping", "stopped"}:
            raise CloudError(
                f"{vm_id} is {vm.state if vm else 'gone'} instead of running; look at its console, run again"
            )
        return vm

    ready = f"{vm_id} to run with a public address"
    return wait_until(
        seen,
        lambda vm: vm.state == "running" and bool(vm.public_ip),
        ready,
        limit,
        stop=stop,
        setting="vm.verify_timeout",
    )


def read_vm(cloud: Cloud, vm_id: str) -> Vm | None:
    """The VM of this id, or None."""
    try:
        found = _read(cloud.call(cloud.ec2.describe_instances, InstanceIds=[vm_id])["Reservations"])
    except CloudError as error:
        if is_gone(error):
            return None
        raise
    return next((vm for vm in found if vm.vm_id == vm_id), None)


def vms_with(cloud: Cloud, key_names: Sequence[str], tags: Mapping[str, str]) -> list[Vm]:
    """VMs not yet ended that were launched with one of these keypairs or carry all of these tags."""
    by_key: list[FilterTypeDef] = [{"Name": "key-name", "Values": list(key_names)}] if key_names else []
    by_tags: list[FilterTypeDef] = [{"Name": f"tag:{key}", "Values": [value]} for key, value in tags.items()]
    found: dict[str, Vm] = {}
    for filters in filter(None, (by_key, by_tags)):
        for vm in _read(cloud.call(cloud.ec2.describe_instances, Filters=filters)["Reservations"]):
            tagged = bool(tags) and all(vm.tags.get(key) == value for key, value in tags.items())
            # compared again here, since what this returns is terminated and a filter may have been ignored
            if (vm.key_name in key_names or tagged) and vm.state != "terminated":
                found[vm.vm_id] = vm
    return list(found.values())


def stop_vm(cloud: Cloud, vm_id: str, limit: float, stop: threading.Event = _NEVER) -> bool:
    """Press the power button; whether the VM stopped within `limit` seconds."""
    cloud.call(cloud.ec2.stop_instances, InstanceIds=[vm_id])
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


def terminate_vms(cloud: Cloud, vm_ids: Iterable[str]) -> None:
    """End the VMs and wait until they are terminated; those already gone count as done."""
    wanted = list(vm_ids)
    for vm_id in wanted:
        remove(partial(cloud.call, cloud.ec2.terminate_instances, InstanceIds=[vm_id]), cloud.limits.vm_end)
    for vm_id in wanted:
        wait_until(
            partial(read_vm, cloud, vm_id),
            lambda vm: vm is None or vm.state == "terminated",
            f"{vm_id} to be terminated",
            cloud.limits.vm_end,
            setting="cloud.limits.vm_end",
        )


def console_tail(cloud: Cloud, vm_id: str, lines: int) -> str:
    """The last non-empty lines of the serial console; empty when there is nothing yet."""
    text = cloud.call(cloud.ec2.get_console_output, InstanceId=vm_id).get("Output", "")
    printable = [" ".join("".join(c if c.isprintable() else " " for c in line).split()) for line in text.splitlines()]
    return "\n".join([line for line in printable if line][-lines:])


def own_volumes(cloud: Cloud, tags: Mapping[str, str]) -> list[str]:
    """Ids of volumes that carry all of these tags."""
    filters: list[FilterTypeDef] = [{"Name": f"tag:{key}", "Values": [value]} for key, value in tags.items()]
    volumes = cloud.call(cloud.ec2.describe_volumes, Filters=filters)["Volumes"]
    carried = [
        ({tag.get("Key"): tag.get("Value") for tag in item.get("Tags", [])}, item["VolumeId"])
        for item in volumes
        if item.get("VolumeId")
    ]
    return [identifier for theirs, identifier in carried if all(theirs.get(key) == tags[key] for key in tags)]


def delete_volume(cloud: Cloud, volume_id: str) -> bool:
    """Delete it once nothing uses it; False if it was already gone."""
    return remove(lambda: cloud.call(cloud.ec2.delete_volume, VolumeId=volume_id), cloud.limits.in_use)


def _read(reservations: Iterable[Any]) -> list[Vm]:
    return [_vm(item) for reservation in reservations for item in reservation.get("Instances", [])]


def _vm(item: InstanceTypeDef) -> Vm:
    mappings = item.get("BlockDeviceMappings", [])
    return Vm(
        vm_id=item.get("InstanceId", ""),
        state=item.get("State", {}).get("Name", ""),
        key_name=item.get("KeyName", ""),
        public_ip=item.get("PublicIpAddress", ""),
        volumes=tuple(entry["Ebs"]["VolumeId"] for entry in mappings if entry.get("Ebs", {}).get("VolumeId")),
        tags={tag.get("Key", ""): tag.get("Value", "") for tag in item.get("Tags", [])},
    )
