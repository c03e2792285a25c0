"""Every refusal of the local OUTSCALE in one table: its code, type and HTTP status in OAPI and its code in FCU.

Codes and types are those of OUTSCALE's error page, of osc-sdk-python's gateway_errors.yaml, of recordings and of
OUTSCALE's own tests; statuses follow its families (4xxx, 5xxx, 8xxx: 400, 6xxx and 9xxx: 409). FCU's codes are EC2's.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum


@dataclass(frozen=True)
class Refusal:
    """How one kind of refusal looks on either face."""

    status: int
    code: str
    type: str
    fcu_code: str
    fcu_status: int = 400


class Fail(Enum):
    """Every reason to refuse a call."""

    AUTHENTICATION = Refusal(401, "1", "AccessDenied", "AuthFailure", 401)
    EXPIRED = Refusal(403, "1", "AccessDenied", "RequestExpired", 403)
    DENIED = Refusal(401, "5", "AccessDenied", "UnauthorizedOperation", 403)
    LOCKED = Refusal(401, "13", "AccessDenied", "AuthFailure", 401)
    THROTTLED = Refusal(503, "6", "AccessDenied", "RequestLimitExceeded", 503)
    THROTTLED_ACCOUNT = Refusal(429, "24", "AccessDenied", "RequestLimitExceeded", 503)
    BAD_METHOD = Refusal(405, "2", "AccessDenied", "InvalidAction", 405)
    INTERNAL = Refusal(500, "2000", "InternalError", "InternalError", 500)
    UNKNOWN_CALL = Refusal(404, "12000", "InvalidService", "InvalidAction")
    UNKNOWN_PARAMETER = Refusal(400, "3001", "InvalidParameter", "InvalidParameter")
    MISSING_PARAMETER = Refusal(400, "7000", "MissingParameter", "MissingParameter")
    DRY_RUN = Refusal(412, "0", "DefaultError", "DryRunOperation", 412)
    BAD_SYNTAX = Refusal(400, "3000", "InvalidParameter", "MalformedQueryString")
    BAD_COMBINATION = Refusal(400, "3002", "InvalidParameter", "InvalidParameterCombination")
    NO_MAPPED_SNAPSHOT = Refusal(400, "7003", "MissingParameter", "MissingParameter")
    ROOT_LINKED = Refusal(400, "8003", "OperationNotSupported", "OperationNotPermitted")
    NOT_IN_PUBLIC_CLOUD = Refusal(400, "8004", "OperationNotSupported", "InvalidParameterValue")
    VM_PROTECTED = Refusal(400, "8018", "OperationNotSupported", "OperationNotPermitted")
    OTHER_REGION = Refusal(400, "8019", "OperationNotSupported", "InvalidParameterValue")

    BAD_MAPPING = Refusal(400, "4011", "InvalidParameterValue", "InvalidBlockDeviceMapping")
    BAD_COUNT = Refusal(400, "4018", "InvalidParameterValue", "InvalidParameterValue")
    BAD_DEVICE = Refusal(400, "4019", "InvalidParameterValue", "InvalidParameterValue")
    NO_BUCKET = Refusal(400, "4002", "InvalidParameterValue", "NoSuchBucket")
    BAD_IMAGE_NAME = Refusal(400, "4026", "InvalidParameterValue", "InvalidAMIName.Malformed")
    BAD_LOCATION = Refusal(400, "4027", "InvalidParameterValue", "InvalidParameterValue")
    BAD_IOPS = Refusal(400, "4029", "InvalidParameterValue", "InvalidParameterValue")
    BAD_KEY = Refusal(400, "4032", "InvalidParameterValue", "InvalidKey.Format")
    BAD_KEYPAIR_NAME = Refusal(400, "4035", "InvalidParameterValue", "InvalidParameterValue")
    BAD_RESOURCE_ID = Refusal(400, "4025", "InvalidParameterValue", "InvalidID")
    BAD_PARAMETER = Refusal(400, "4045", "InvalidParameterValue", "InvalidParameterValue")
    BAD_VALUE = Refusal(400, "4047", "InvalidParameterValue", "InvalidParameterValue")
    BAD_ROOT = Refusal(400, "4057", "InvalidParameterValue", "InvalidBlockDeviceMapping")
    BAD_TAG_KEY = Refusal(400, "4069", "InvalidParameterValue", "InvalidParameterValue")
    BAD_TAG_VALUE = Refusal(400, "4070", "InvalidParameterValue", "InvalidParameterValue")
    NO_OBJECT = Refusal(400, "4088", "InvalidParameterValue", "InvalidParameterValue")
    BAD_PREFIX = Refusal(400, "4104", "InvalidParameterValue", "InvalidParameterValue")
    BAD_ID = Refusal(400, "4105", "InvalidParameterValue", "InvalidParameterValue")
    BAD_LENGTH = Refusal(400, "4106", "InvalidParameterValue", "InvalidParameterValue")
    BAD_TYPE = Refusal(400, "4110", "InvalidParameterValue", "InvalidParameterValue")
    SMALLER_THAN_SNAPSHOT = Refusal(400, "4125", "InvalidParameterValue", "InvalidParameterValue")

    NO_LINK = Refusal(400, "5007", "InvalidResource", "IncorrectState")
    NO_RULE = Refusal(400, "5008", "InvalidResource", "InvalidPermission.NotFound")
    NO_SUBREGION = Refusal(400, "5009", "InvalidResource", "InvalidParameterValue")
    NO_SECURITY_GROUP = Refusal(400, "5020", "InvalidResource", "InvalidGroup.NotFound")
    NO_IMAGE = Refusal(400, "5023", "InvalidResource", "InvalidAMIID.NotFound")
    NO_NIC = Refusal(400, "5036", "InvalidResource", "InvalidNetworkInterfaceID.NotFound")
    NO_MEMBER = Refusal(400, "5060", "InvalidResource", "InvalidGroup.NotFound")
    NO_VM_TYPE = Refusal(400, "5024", "InvalidResource", "InvalidParameterValue")
    NO_PUBLIC_IP = Refusal(400, "5025", "InvalidResource", "InvalidAllocationID.NotFound")
    NO_PUBLIC_IP_ID = Refusal(400, "5080", "InvalidResource", "InvalidAllocationID.NotFound")
    NO_PUBLIC_IP_LINK = Refusal(400, "5026", "InvalidResource", "InvalidAssociationID.NotFound")
    NO_RESOURCE = Refusal(400, "5044", "InvalidResource", "InvalidID")
    NO_SNAPSHOT = Refusal(400, "5054", "InvalidResource", "InvalidSnapshot.NotFound")
    NO_SUBNET = Refusal(400, "5057", "InvalidResource", "InvalidSubnetID.NotFound")
    NO_VM = Refusal(400, "5063", "InvalidResource", "InvalidInstanceID.NotFound")
    NO_VOLUME = Refusal(400, "5064", "InvalidResource", "InvalidVolume.NotFound")
    NO_NET = Refusal(400, "5065", "InvalidResource", "InvalidVpcID.NotFound")
    NO_KEYPAIR = Refusal(400, "5071", "InvalidResource", "InvalidKeyPair.NotFound")

    IMAGE_STATE = Refusal(409, "6001", "InvalidState", "InvalidAMIID.Unavailable")
    STATE = Refusal(409, "6003", "InvalidState", "IncorrectState")
    VOLUME_STATE = Refusal(409, "6007", "InvalidState", "IncorrectState")

    SNAPSHOT_IN_USE = Refusal(409, "9002", "ResourceConflict", "InvalidSnapshot.InUse")
    DEVICE_IN_USE = Refusal(409, "9004", "ResourceConflict", "InvalidParameterValue")
    DUPLICATE_SECURITY_GROUP = Refusal(409, "9008", "ResourceConflict", "InvalidGroup.Duplicate")
    DUPLICATE_KEYPAIR = Refusal(409, "9011", "ResourceConflict", "InvalidKeyPair.Duplicate")
    DUPLICATE_IMAGE_NAME = Refusal(409, "9015", "ResourceConflict", "InvalidAMIName.Duplicate")
    DUPLICATE_RULE = Refusal(409, "9017", "ResourceConflict", "InvalidPermission.Duplicate")
    PUBLIC_IP_LINKED = Refusal(409, "9029", "ResourceConflict", "InvalidIPAddress.InUse")
    PUBLIC_IP_IN_USE = Refusal(409, "9031", "ResourceConflict", "InvalidIPAddress.InUse")
    RESERVED_SECURITY_GROUP = Refusal(409, "9051", "ResourceConflict", "CannotDelete")
    SUBREGION_MISMATCH = Refusal(409, "9071", "ResourceConflict", "InvalidVolume.ZoneMismatch")
    SECURITY_GROUP_IN_USE = Refusal(409, "9085", "ResourceConflict", "DependencyViolation")

    VM_QUOTA = Refusal(400, "10010", "TooManyResources (QuotaExceded)", "InstanceLimitExceeded")
    OTHER_QUOTA = Refusal(400, "10000", "TooManyResources (QuotaExceded)", "ResourceLimitExceeded")
    VOLUME_QUOTA = Refusal(400, "10018", "TooManyResources (QuotaExceded)", "VolumeLimitExceeded")
    VOLUME_SIZE_QUOTA = Refusal(400, "10024", "TooManyResources (QuotaExceded)", "VolumeLimitExceeded")
    SNAPSHOT_QUOTA = Refusal(400, "10026", "TooManyResources (QuotaExceded)", "SnapshotLimitExceeded")
    GROUP_QUOTA = Refusal(400, "10038", "TooManyResources (QuotaExceded)", "SecurityGroupLimitExceeded")
    NO_ADDRESS_LEFT = Refusal(400, "10011", "TooManyResources (QuotaExceded)", "AddressLimitExceeded")


class CloudError(Exception):
    """A call that the cloud refuses; `details` is for the caller to read and names what was wrong."""

    def __init__(self, fail: Fail, details: str = "") -> None:
        super().__init__(f"{fail.value.code} {fail.value.type}: {details}")
        self.fail = fail
        self.details = details
