"""Block device rules that volumes, VMs and images share.

From docs.outscale.com: About Volumes, Defining Block Device Mappings.
"""

from __future__ import annotations

import re

from sandbox.cloud.errors import Fail, RefusedError

MAX_SIZE_GIB = 14901
MAX_IOPS = 13000
MAX_IOPS_PER_GIB = 300
VOLUME_TYPES = ("standard", "gp2", "io1")
DEFAULT_SIZE_GIB = 10
ROOT_DEVICES = ("/dev/sda1", "/dev/sda", "/dev/vda", "/dev/xvda")
_EXTRA_DEVICE = re.compile(r"/dev/(sd|xvd)[b-z][a-z]?[0-9]{0,2}")


def check_device_name(name: str | None, *, root: str | None = None) -> str:
    """The name, if it is allowed for a device: the root's, or /dev/sdX, /dev/sdXX, /dev/xvdX, /dev/xvdXX (b to z)."""
    if not name:
        raise RefusedError(Fail.MISSING_PARAMETER, "The parameter 'DeviceName' is required.")
    if name == root or _EXTRA_DEVICE.fullmatch(name):
        return name
    raise RefusedError(Fail.BAD_DEVICE, f"The device name '{name}' is not valid: /dev/sd[b-z] or /dev/xvd[b-z].")


def check_root_device(name: str | None) -> str:
    """The name, if it is allowed for an image's root device."""
    if not name:
        raise RefusedError(Fail.MISSING_PARAMETER, "The parameter 'RootDeviceName' is required.")
    if name not in ROOT_DEVICES and not _EXTRA_DEVICE.fullmatch(name):
        raise RefusedError(Fail.BAD_ROOT, f"The root device name '{name}' is not valid: /dev/sda1 is usual.")
    return name


def check_volume(
    size: int | None, volume_type: str | None, iops: int | None, least: int | None
) -> tuple[int, str, int | None]:
    """The volume's size (GiB), type and IOPS; `least` is the size of its snapshot, if it has one.

    The empty string counts as no type. io1 needs IOPS: at most 13000, and 300 for each GiB; other types take none.
    """
    kind = volume_type or "standard"
    if kind not in VOLUME_TYPES:
        raise RefusedError(Fail.BAD_VALUE, f"The volume type '{kind}' is not valid: {', '.join(VOLUME_TYPES)}.")
    gib = size or least or 0
    if not 1 <= gib <= MAX_SIZE_GIB:
        raise RefusedError(Fail.BAD_PARAMETER, f"The volume size must be 1 to {MAX_SIZE_GIB} GiB, not {gib}.")
    if least is not None and gib < least:
        raise RefusedError(
            Fail.SMALLER_THAN_SNAPSHOT, f"The volume size {gib} is smaller than that of its snapshot, {least} GiB."
        )
    if kind != "io1":
        if iops:
            raise RefusedError(Fail.BAD_PARAMETER, f"Only io1 volumes take Iops, this one is {kind}.")
        return gib, kind, None
    if not iops:
        raise RefusedError(Fail.MISSING_PARAMETER, "The parameter 'Iops' is required for io1 volumes.")
    if not 1 <= iops <= MAX_IOPS:
        raise RefusedError(Fail.BAD_IOPS, f"An io1 volume takes at most {MAX_IOPS} Iops, not {iops}.")
    if iops > MAX_IOPS_PER_GIB * gib:
        most = MAX_IOPS_PER_GIB * gib
        raise RefusedError(Fail.BAD_VALUE, f"An io1 volume of {gib} GiB takes at most {most} Iops, not {iops}.")
    return gib, kind, iops
