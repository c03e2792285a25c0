"""The calls that Packer's plugin makes in a build, and which of them a key may not make."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from omi.errors import CloudError, CredentialsError
from omi.outscale.cloud import Cloud

_NONE = "00000000"
_TAGS = [{"Key": "project", "Value": "alpine-omi"}]
PACKER_CALLS: Mapping[str, Mapping[str, Any]] = {
    "ReadAccounts": {},
    "ReadImages": {},
    "ReadVms": {},
    "ReadVolumes": {},
    "ReadSnapshots": {},
    "ReadSecurityGroups": {},
    "CreateVms": {"ImageId": f"ami-{_NONE}"},
    "CreateTags": {"ResourceIds": [f"i-{_NONE}"], "Tags": _TAGS},
    "StopVms": {"VmIds": [f"i-{_NONE}"]},
    "CreateSnapshot": {"VolumeId": f"vol-{_NONE}"},
    "CreateImage": {"ImageName": "alpine-omi dry run", "VmId": f"i-{_NONE}"},
    "DeleteVms": {"VmIds": [f"i-{_NONE}"]},
    "DeleteSnapshot": {"SnapshotId": f"snap-{_NONE}"},
    "DeleteImage": {"ImageId": f"ami-{_NONE}"},
}
"""What the plugin calls in a build or when it cleans up after one, with parameters that name nothing that exists.

DeleteVolume isn't among them: the build VM's volumes go with it, and the program removes what is left.
"""


def find_denied(cloud: Cloud) -> CredentialsError | None:
    """The first of Packer's calls that the key may not make, as the error that names it; None if it may make all.

    Asked by DryRun, which "checks whether you have the required permissions to perform the action" and does nothing
    (OUTSCALE API's reference). It ends with the first refusal, so that no row of them looks like guessing a key.
    """
    for action, parameters in PACKER_CALLS.items():
        try:
            cloud.call(action, {**parameters, "DryRun": True})
        except CredentialsError as error:
            return error
        except CloudError:
            continue  # it found something else wrong with a call that names nothing
    return None
