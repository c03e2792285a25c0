"""Every refusal of the local OUTSCALE in one table: its HTTP status, code and type.

Codes and types are those of OUTSCALE's error page, of osc-sdk-python's gateway_errors.yaml, of recordings and of
OUTSCALE's own tests; statuses follow its families (4xxx, 5xxx, 8xxx: 400, 6xxx and 9xxx: 409).
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum


@dataclass(frozen=True)
class Refusal:
    """How one kind of refusal looks."""

    status: int
    code: str
    type: str


class Fail(Enum):
    """Every reason to refuse a call."""

    AUTHENTICATION = Refusal(401, "1", "AccessDenied")
    EXPIRED = Refusal(403, "1", "AccessDenied")
    BAD_METHOD = Refusal(405, "2", "AccessDenied")
    DENIED = Refusal(401, "5", "AccessDenied")
    THROTTLED = Refusal(503, "6", "AccessDenied")
    LOCKED = Refusal(401, "13", "AccessDenied")
    THROTTLED_ACCOUNT = Refusal(429, "24", "AccessDenied")

    INTERNAL = Refusal(500, "2000", "InternalError")

    BAD_SYNTAX = Refusal(400, "3000", "InvalidParameter")
    UNKNOWN_PARAMETER = Refusal(400, "3001", "InvalidParameter")
    BAD_COMBINATION = Refusal(400, "3002", "InvalidParameter")

    NO_BUCKET = Refusal(400, "4002", "InvalidParameterValue")
    BAD_MAPPING = Refusal(400, "4011", "InvalidParameterValue")
    BAD_COUNT = Refusal(400, "4018", "InvalidParameterValue")
    BAD_DEVICE = Refusal(400, "4019", "InvalidParameterValue")
    BAD_RESOURCE_ID = Refusal(400, "4025", "InvalidParameterValue")
    BAD_IMAGE_NAME = Refusal(400, "4026", "InvalidParameterValue")
    BAD_LOCATION = Refusal(400, "4027", "InvalidParameterValue")
    BAD_IOPS = Refusal(400, "4029", "InvalidParameterValue")
    BAD_KEY = Refusal(400, "4032", "InvalidParameterValue")
    BAD_KEYPAIR_NAME = Refusal(400, "4035", "InvalidParameterValue")
    BAD_PARAMETER = Refusal(400, "4045", "InvalidParameterValue")
    BAD_VALUE = Refusal(400, "4047", "InvalidParameterValue")
    BAD_ROOT = Refusal(400, "4057", "InvalidParameterValue")
    BAD_TAG_KEY = Refusal(400, "4069", "InvalidParameterValue")
    BAD_TAG_VALUE = Refusal(400, "4070", "InvalidParameterValue")
    NO_OBJECT = Refusal(400, "4088", "InvalidParameterValue")
    BAD_PREFIX = Refusal(400, "4104", "InvalidParameterValue")
    BAD_ID = Refusal(400, "4105", "InvalidParameterValue")
    BAD_LENGTH = Refusal(400, "4106", "InvalidParameterValue")
    BAD_TYPE = Refusal(400, "4110", "InvalidParameterValue")
    SMALLER_THAN_SNAPSHOT = Refusal(400, "4125", "InvalidParameterValue")

    NO_RULE = Refusal(400, "5008", "InvalidResource")
    NO_SUBREGION = Refusal(400, "5009", "InvalidResource")
    NO_SECURITY_GROUP = Refusal(400, "5020", "InvalidResource")
    NO_IMAGE = Refusal(400, "5023", "InvalidResource")
    NO_VM_TYPE = Refusal(400, "5024", "InvalidResource")
    NO_PUBLIC_IP = Refusal(400, "5025", "InvalidResource")
    NO_PUBLIC_IP_LINK = Refusal(400, "5026", "InvalidResource")
    NO_NIC = Refusal(400, "5036", "InvalidResource")
    NO_RESOURCE = Refusal(400, "5044", "InvalidResource")
    NO_SNAPSHOT = Refusal(400, "5054", "InvalidResource")
    NO_SUBNET = Refusal(400, "5057", "InvalidResource")
    NO_MEMBER = Refusal(400, "5060", "InvalidResource")
    NO_VM = Refusal(400, "5063", "InvalidResource")
    NO_VOLUME = Refusal(400, "5064", "InvalidResource")
    NO_NET = Refusal(400, "5065", "InvalidResource")
    NO_KEYPAIR = Refusal(400, "5071", "InvalidResource")
    NO_PUBLIC_IP_ID = Refusal(400, "5080", "InvalidResource")

    IMAGE_STATE = Refusal(409, "6001", "InvalidState")
    STATE = Refusal(409, "6003", "InvalidState")
    VOLUME_STATE = Refusal(409, "6007", "InvalidState")

    MISSING_PARAMETER = Refusal(400, "7000", "MissingParameter")
    NO_MAPPED_SNAPSHOT = Refusal(400, "7003", "MissingParameter")

    ROOT_LINKED = Refusal(400, "8003", "OperationNotSupported")
    NOT_IN_PUBLIC_CLOUD = Refusal(400, "8004", "OperationNotSupported")
    VM_PROTECTED = Refusal(400, "8018", "OperationNotSupported")
    OTHER_REGION = Refusal(400, "8019", "OperationNotSupported")

    SNAPSHOT_IN_USE = Refusal(409, "9002", "ResourceConflict")
    DEVICE_IN_USE = Refusal(409, "9004", "ResourceConflict")
    DUPLICATE_SECURITY_GROUP = Refusal(409, "9008", "ResourceConflict")
    DUPLICATE_KEYPAIR = Refusal(409, "9011", "ResourceConflict")
    DUPLICATE_IMAGE_NAME = Refusal(409, "9015", "ResourceConflict")
    DUPLICATE_RULE = Refusal(409, "9017", "ResourceConflict")
    PUBLIC_IP_LINKED = Refusal(409, "9029", "ResourceConflict")
    PUBLIC_IP_IN_USE = Refusal(409, "9031", "ResourceConflict")
    RESERVED_SECURITY_GROUP = Refusal(409, "9051", "ResourceConflict")
    SUBREGION_MISMATCH = Refusal(409, "9071", "ResourceConflict")
    SECURITY_GROUP_IN_USE = Refusal(409, "9085", "ResourceConflict")

    OTHER_QUOTA = Refusal(400, "10000", "TooManyResources (QuotaExceded)")
    VM_QUOTA = Refusal(400, "10010", "TooManyResources (QuotaExceded)")
    NO_ADDRESS_LEFT = Refusal(400, "10011", "TooManyResources (QuotaExceded)")
    VOLUME_QUOTA = Refusal(400, "10018", "TooManyResources (QuotaExceded)")
    VOLUME_SIZE_QUOTA = Refusal(400, "10024", "TooManyResources (QuotaExceded)")
    SNAPSHOT_QUOTA = Refusal(400, "10026", "TooManyResources (QuotaExceded)")
    GROUP_QUOTA = Refusal(400, "10038", "TooManyResources (QuotaExceded)")

    UNKNOWN_CALL = Refusal(404, "12000", "InvalidService")


class CloudError(Exception):
    """A call that the cloud refuses; `details` is for the caller to read and names what was wrong."""

    def __init__(self, fail: Fail, details: str = "") -> None:
        super().__init__(f"{fail.value.code} {fail.value.type}: {details}")
        self.fail = fail
        self.details = details
