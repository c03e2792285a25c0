"""Every refusal of the local OUTSCALE in one table: its HTTP status, code and type.

Its words are where it is raised, mostly in `sandbox/oapi`. Codes and types are those of OUTSCALE's error page, of
osc-sdk-python's gateway_errors.yaml, of recordings and of OUTSCALE's own tests; statuses follow its families (4xxx,
5xxx, 8xxx: 400, 6xxx and 9xxx: 409).
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum


@dataclass(frozen=True)
class RefusalKind:
    """The status, code and type of one kind of refusal."""

    status: int
    code: str
    type: str


class Fail(Enum):
    """Every reason to refuse a call."""

    AUTHENTICATION = RefusalKind(401, "1", "AccessDenied")
    EXPIRED = RefusalKind(403, "1", "AccessDenied")
    BAD_METHOD = RefusalKind(405, "2", "AccessDenied")
    DENIED = RefusalKind(401, "5", "AccessDenied")
    THROTTLED = RefusalKind(503, "6", "AccessDenied")
    LOCKED = RefusalKind(401, "13", "AccessDenied")
    THROTTLED_ACCOUNT = RefusalKind(429, "24", "AccessDenied")

    INTERNAL = RefusalKind(500, "2000", "InternalError")

    BAD_SYNTAX = RefusalKind(400, "3000", "InvalidParameter")
    UNKNOWN_PARAMETER = RefusalKind(400, "3001", "InvalidParameter")
    BAD_COMBINATION = RefusalKind(400, "3002", "InvalidParameter")

    NO_BUCKET = RefusalKind(400, "4002", "InvalidParameterValue")
    BAD_MAPPING = RefusalKind(400, "4011", "InvalidParameterValue")
    BAD_BLOCK_SIZE = RefusalKind(400, "4014", "InvalidParameterValue")
    BAD_COUNT = RefusalKind(400, "4018", "InvalidParameterValue")
    BAD_DEVICE = RefusalKind(400, "4019", "InvalidParameterValue")
    BAD_RESOURCE_ID = RefusalKind(400, "4025", "InvalidParameterValue")
    BAD_IMAGE_NAME = RefusalKind(400, "4026", "InvalidParameterValue")
    BAD_LOCATION = RefusalKind(400, "4027", "InvalidParameterValue")
    BAD_IOPS = RefusalKind(400, "4029", "InvalidParameterValue")
    BAD_KEY = RefusalKind(400, "4032", "InvalidParameterValue")
    BAD_KEYPAIR_NAME = RefusalKind(400, "4035", "InvalidParameterValue")
    BAD_PARAMETER = RefusalKind(400, "4045", "InvalidParameterValue")
    BAD_VALUE = RefusalKind(400, "4047", "InvalidParameterValue")
    BAD_ROOT = RefusalKind(400, "4057", "InvalidParameterValue")
    BAD_TAG_KEY = RefusalKind(400, "4069", "InvalidParameterValue")
    BAD_TAG_VALUE = RefusalKind(400, "4070", "InvalidParameterValue")
    NO_OBJECT = RefusalKind(400, "4088", "InvalidParameterValue")
    BAD_PREFIX = RefusalKind(400, "4104", "InvalidParameterValue")
    BAD_ID = RefusalKind(400, "4105", "InvalidParameterValue")
    BAD_LENGTH = RefusalKind(400, "4106", "InvalidParameterValue")
    BAD_TYPE = RefusalKind(400, "4110", "InvalidParameterValue")
    SMALLER_THAN_SNAPSHOT = RefusalKind(400, "4125", "InvalidParameterValue")

    NO_RULE = RefusalKind(400, "5008", "InvalidResource")
    NO_SUBREGION = RefusalKind(400, "5009", "InvalidResource")
    NO_SECURITY_GROUP = RefusalKind(400, "5020", "InvalidResource")
    NOT_OF_PUBLIC_CLOUD = RefusalKind(400, "5021", "InvalidResource")
    NOT_OF_NET = RefusalKind(400, "5022", "InvalidResource")
    NO_IMAGE = RefusalKind(400, "5023", "InvalidResource")
    NO_VM_TYPE = RefusalKind(400, "5024", "InvalidResource")
    NO_PUBLIC_IP = RefusalKind(400, "5025", "InvalidResource")
    NO_PUBLIC_IP_LINK = RefusalKind(400, "5026", "InvalidResource")
    NO_NIC = RefusalKind(400, "5036", "InvalidResource")
    NO_RESOURCE = RefusalKind(400, "5044", "InvalidResource")
    NO_SNAPSHOT = RefusalKind(400, "5054", "InvalidResource")
    NO_SUBNET = RefusalKind(400, "5057", "InvalidResource")
    NO_MEMBER = RefusalKind(400, "5060", "InvalidResource")
    NO_VM = RefusalKind(400, "5063", "InvalidResource")
    NO_VOLUME = RefusalKind(400, "5064", "InvalidResource")
    NO_NET = RefusalKind(400, "5065", "InvalidResource")
    NO_KEYPAIR = RefusalKind(400, "5071", "InvalidResource")
    NO_PUBLIC_IP_ID = RefusalKind(400, "5080", "InvalidResource")

    IMAGE_STATE = RefusalKind(409, "6001", "InvalidState")
    STATE = RefusalKind(409, "6003", "InvalidState")
    VOLUME_STATE = RefusalKind(409, "6007", "InvalidState")

    MISSING_PARAMETER = RefusalKind(400, "7000", "MissingParameter")
    NO_MAPPED_SNAPSHOT = RefusalKind(400, "7003", "MissingParameter")

    ROOT_LINKED = RefusalKind(400, "8003", "OperationNotSupported")
    NOT_IN_PUBLIC_CLOUD = RefusalKind(400, "8004", "OperationNotSupported")
    VM_PROTECTED = RefusalKind(400, "8018", "OperationNotSupported")
    OTHER_REGION = RefusalKind(400, "8019", "OperationNotSupported")

    SNAPSHOT_IN_USE = RefusalKind(409, "9002", "ResourceConflict")
    DEVICE_IN_USE = RefusalKind(409, "9004", "ResourceConflict")
    DUPLICATE_SECURITY_GROUP = RefusalKind(409, "9008", "ResourceConflict")
    DUPLICATE_KEYPAIR = RefusalKind(409, "9011", "ResourceConflict")
    DUPLICATE_IMAGE_NAME = RefusalKind(409, "9015", "ResourceConflict")
    DUPLICATE_RULE = RefusalKind(409, "9017", "ResourceConflict")
    PUBLIC_IP_LINKED = RefusalKind(409, "9029", "ResourceConflict")
    PUBLIC_IP_IN_USE = RefusalKind(409, "9031", "ResourceConflict")
    OUTSIDE_NET = RefusalKind(409, "9044", "ResourceConflict")
    RESERVED_SECURITY_GROUP = RefusalKind(409, "9051", "ResourceConflict")
    SUBNET_CONFLICT = RefusalKind(409, "9058", "ResourceConflict")
    SUBNET_IN_USE = RefusalKind(409, "9059", "ResourceConflict")
    NET_IN_USE = RefusalKind(409, "9066", "ResourceConflict")
    SUBREGION_MISMATCH = RefusalKind(409, "9071", "ResourceConflict")
    SECURITY_GROUP_IN_USE = RefusalKind(409, "9085", "ResourceConflict")

    OTHER_QUOTA = RefusalKind(400, "10000", "TooManyResources (QuotaExceded)")
    VM_QUOTA = RefusalKind(400, "10010", "TooManyResources (QuotaExceded)")
    NO_ADDRESS_LEFT = RefusalKind(400, "10011", "TooManyResources (QuotaExceded)")
    VOLUME_QUOTA = RefusalKind(400, "10018", "TooManyResources (QuotaExceded)")
    NO_PRIVATE_IP_LEFT = RefusalKind(400, "10021", "TooManyResources (QuotaExceded)")
    VOLUME_SIZE_QUOTA = RefusalKind(400, "10024", "TooManyResources (QuotaExceded)")
    SNAPSHOT_QUOTA = RefusalKind(400, "10026", "TooManyResources (QuotaExceded)")
    GROUP_QUOTA = RefusalKind(400, "10038", "TooManyResources (QuotaExceded)")

    UNKNOWN_CALL = RefusalKind(404, "12000", "InvalidService")


class RefusedError(Exception):
    """The cloud refuses a call; `details` explain the problem to the caller."""

    def __init__(self, fail: Fail, details: str = "") -> None:
        super().__init__(f"{fail.value.code} {fail.value.type}: {details}")
        self.fail = fail
        self.details = details
