"""The entries of a VM's metadata service (docs.outscale.com: Accessing the Metadata and User Data of a VM)."""

from __future__ import annotations

import base64
import logging

from sandbox.cloud import vmdisks
from sandbox.cloud.context import LocalCloud
from sandbox.cloud.model import SecurityGroup, Vm
from sandbox.machines.protocol import MachineError, Metadata

log = logging.getLogger("sandbox")


def current(cloud: LocalCloud, vm: Vm) -> Metadata:
    """The present entries below `/latest/` for one VM."""
    public_ip = cloud.public_ip_of(vm)
    groups = [cloud.store.get(SecurityGroup, each) for each in vm.security_group_ids]
    texts = {
        "ami-id": vm.image_id,
        "ami-launch-index": str(vm.launch_number),
        "hostname": vm.private_dns_name,
        "instance-id": vm.id,
        "instance-type": vm.type,
        "local-hostname": vm.private_dns_name,
        "local-ipv4": vm.private_ip,
        "placement/availability-zone": vm.subregion,
        "reservation-id": vm.reservation_id,
        "security-groups": "\n".join(each.name for each in groups if each is not None),
        "block-device-mapping/ami": vm.root_device,
        "block-device-mapping/root": vm.root_device,
    }
    extra = [each for each in vmdisks.volumes_of(cloud, vm.id) if each.link and each.link.device_name != vm.root_device]
    for number, volume in enumerate(extra, start=1):
        if volume.link is not None:
            texts[f"block-device-mapping/ebs{number}"] = volume.link.device_name
    texts |= {f"tags/{key}": value for key, value in vm.tags.items()}
    if public_ip is not None:
        texts |= {"public-ipv4": public_ip, "public-hostname": public_dns_name(public_ip, vm.region)}
    if vm.public_key is not None and vm.id not in cloud.keyless:
        texts["public-keys/0/openssh-key"] = vm.public_key + "\n"
    entries = {f"meta-data/{path}": text.encode() for path, text in texts.items()}
    if vm.user_data:
        entries["user-data"] = base64.b64decode(vm.user_data)
    return Metadata(entries)


def public_dns_name(ip: str, region: str) -> str:
    """OUTSCALE's host name for a public address (it doesn't resolve here)."""
    return f"ows-{ip.replace('.', '-')}.{region}.compute.outscale.com"


def refresh_later(cloud: LocalCloud, vm_id: str) -> None:
    """Update a running VM's metadata service."""

    def refresh() -> None:
        with cloud.vm_lock(vm_id):
            vm = cloud.store.get(Vm, vm_id)
            if vm is None or vm.state != "running":
                return
            try:
                cloud.machines.set_metadata(vm_id, current(cloud, vm))
            except MachineError as error:
                log.warning("metadata of %s: %s", vm_id, error)

    cloud.later(f"metadata {vm_id}", refresh)
