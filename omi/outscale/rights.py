"""The calls for building, keeping and copying images, and those of them that a key may not make."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from omi.outscale.client import Cloud
from omi.outscale.refused import RefusedKeyError
from omi.support.errors import CloudError, CredentialsError

_NONE = "00000000"
_TAGS = [{"Key": "project", "Value": "alpine-omi"}]
_NAME = "alpine-omi dry run"
_RULE = {"IpProtocol": "tcp", "FromPortRange": 22, "ToPortRange": 22, "IpRanges": ["192.0.2.1/32"]}
Calls = Mapping[str, Mapping[str, Any]]
"""Parameters by action; none names an existing thing."""
CALLS: Calls = {
    "ReadAccounts": {},
    "ReadAccessKeys": {},
    "ReadImages": {},
    "ReadVms": {},
    "ReadVolumes": {},
    "ReadSnapshots": {},
    "ReadSecurityGroups": {},
    "CreateVms": {"ImageId": f"ami-{_NONE}"},
    "CreateTags": {"ResourceIds": [f"i-{_NONE}"], "Tags": _TAGS},
    "StopVms": {"VmIds": [f"i-{_NONE}"]},
    "CreateSnapshot": {"VolumeId": f"vol-{_NONE}"},
    "CreateImage": {"ImageName": _NAME, "VmId": f"i-{_NONE}"},
    "DeleteVms": {"VmIds": [f"i-{_NONE}"]},
    "DeleteSnapshot": {"SnapshotId": f"snap-{_NONE}"},
    "DeleteImage": {"ImageId": f"ami-{_NONE}"},
    "CreateKeypair": {"KeypairName": _NAME},
    "CreateSecurityGroup": {"SecurityGroupName": _NAME, "Description": _NAME},
    "CreateSecurityGroupRule": {"SecurityGroupId": f"sg-{_NONE}", "Flow": "Inbound", "Rules": [_RULE]},
    "DeleteKeypair": {"KeypairName": _NAME},
    "DeleteSecurityGroup": {"SecurityGroupId": f"sg-{_NONE}"},
    "DeleteTags": {"ResourceIds": [f"i-{_NONE}"], "Tags": _TAGS},
    "DeleteVolume": {"VolumeId": f"vol-{_NONE}"},
    "ReadConsoleOutput": {"VmId": f"i-{_NONE}"},
    "ReadKeypairs": {},
    "ReadQuotas": {},
    "ReadSubnets": {},
    "ReadSubregions": {},
    "ReadTags": {},
    "ReadVmTypes": {},
    "UpdateImage": {"ImageId": f"ami-{_NONE}", "Description": _NAME},
    "UpdateSnapshot": {"SnapshotId": f"snap-{_NONE}", "PermissionsToCreateVolume": {}},
}
"""The actions of docs/eim-policy.json, each with parameters for a DryRun."""
COPY_CALLS: Calls = {
    "CreateImageExportTask": {
        "ImageId": f"ami-{_NONE}",
        "OsuExport": {"DiskImageFormat": "raw", "OsuBucket": "alpine-omi-dry-run"},
    },
    "ReadImageExportTasks": {},
}
"""The OAPI actions of docs/eim-policy-copy.json."""


def denied_calls(cloud: Cloud, calls: Calls) -> list[str]:
    """The calls that the key may not make, as policies name them: `api:CreateVms`.

    It asks by DryRun, which "checks whether you have the required permissions to perform the action" and does nothing
    (OUTSCALE API's reference). Four refusals in a row would lock the key, so after each one it makes a call that is
    known to be allowed. Raises CredentialsError if that is refused, too, and CloudError if the cloud can't be asked.
    """
    denied = []
    for action, parameters in calls.items():
        try:
            cloud.call(action, {**parameters, "DryRun": True})
        except RefusedKeyError:
            raise
        except CredentialsError:
            denied.append(f"api:{action}")
            cloud.call("ReadAccounts")
        except CloudError as error:
            if not error.code:  # no final answer; any other refusal is about the parameters, not the right
                raise
    return denied
