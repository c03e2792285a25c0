"""The object store's face, and images that go through it from one Region to another."""

from __future__ import annotations

import gzip
import json
import ssl
import urllib.error
import urllib.request
from typing import Any

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError

from tests.sandbox.client import Refused, Sandbox, empty_volume, register, snapshot, wait_for


def s3(sandbox: Sandbox, profile: str = "main", **overrides: Any) -> Any:
    known = sandbox.profiles[profile]
    options = {
        "region_name": known["region"],
        "endpoint_url": known["endpoints"]["oos"],
        "aws_access_key_id": known["access_key"],
        "aws_secret_access_key": known["secret_key"],
        "verify": str(sandbox.settings.ca_file),
        "config": Config(
            signature_version="s3v4",
            request_checksum_calculation="when_required",
            response_checksum_validation="when_required",
            s3={"addressing_style": "path"},
            retries={"total_max_attempts": 1},
        ),
    }
    return boto3.client("s3", **{**options, **overrides})


def code(error: pytest.ExceptionInfo[ClientError]) -> tuple[int, str]:
    answer = error.value.response
    return answer["ResponseMetadata"]["HTTPStatusCode"], answer["Error"]["Code"]


def fetch(sandbox: Sandbox, url: str, limit: float = 10) -> bytes:
    context = ssl.create_default_context(cafile=str(sandbox.settings.ca_file))
    with urllib.request.urlopen(url, context=context, timeout=limit) as answer:  # noqa: S310 - a URL of the sandbox's own
        content: bytes = answer.read()
    return content


def an_image(sandbox: Sandbox) -> str:
    oapi = sandbox.oapi()
    made = register(oapi, "to-carry", snapshot(oapi, empty_volume(oapi)))
    wait_for(lambda: oapi.call("ReadImages", Filters={"ImageIds": [made]})["Images"][0]["State"] == "available", bool)
    return made


def exported(sandbox: Sandbox, image: str, bucket: str = "carrying") -> dict[str, Any]:
    """The task once it has ended."""
    oapi = sandbox.oapi()
    wanted = {"DiskImageFormat": "raw", "OsuBucket": bucket, "OsuPrefix": "out/"}
    task = oapi.call("CreateImageExportTask", ImageId=image, OsuExport=wanted)["ImageExportTask"]
    assert (task["State"], task["Progress"]) == ("pending/queued", 0)

    def seen() -> dict[str, Any]:
        read = oapi.call("ReadImageExportTasks", Filters={"TaskIds": [task["TaskId"]]})["ImageExportTasks"]
        found: dict[str, Any] = read[0]
        return found

    wait_for(lambda: not seen()["State"].startswith("pending"), bool)
    return seen()


def manifest_key(task: dict[str, Any]) -> str:
    return str(task["OsuExport"]["OsuManifestUrl"]).partition("/carrying/")[2]


def test_objects_by_boto3_and_each_account_sees_its_own(sandbox: Sandbox) -> None:
    mine, theirs = s3(sandbox), s3(sandbox, "main-us")
    mine.create_bucket(Bucket="carrying")
    mine.put_object(Bucket="carrying", Key="a/b", Body=b"content")
    assert mine.get_object(Bucket="carrying", Key="a/b")["Body"].read() == b"content"
    assert [each["Key"] for each in mine.list_objects_v2(Bucket="carrying")["Contents"]] == ["a/b"]
    assert theirs.list_buckets()["Buckets"] == []
    with pytest.raises(ClientError) as raised:
        theirs.create_bucket(Bucket="carrying")
    assert code(raised) == (409, "BucketAlreadyExists")
    with pytest.raises(ClientError) as raised:
        mine.delete_bucket(Bucket="carrying")
    assert code(raised) == (409, "BucketNotEmpty")
    mine.delete_object(Bucket="carrying", Key="a/b")
    mine.delete_bucket(Bucket="carrying")
    assert mine.list_buckets()["Buckets"] == []


def test_a_wrong_key_and_a_missing_right_are_refused(sandbox: Sandbox) -> None:
    with pytest.raises(ClientError) as raised:
        s3(sandbox, aws_secret_access_key="x" * 40).list_buckets()
    assert code(raised) == (403, "SignatureDoesNotMatch")
    deny = {"Effect": "Deny", "Action": ["s3:CreateBucket"], "Resource": ["*"]}
    allow = {"Effect": "Allow", "Action": ["*"], "Resource": ["*"]}
    sandbox.control("PUT", "policies", {"main": {"Statement": [allow, deny]}})
    with pytest.raises(ClientError) as raised:
        s3(sandbox).create_bucket(Bucket="carrying")
    assert code(raised) == (403, "AccessDenied")
    assert s3(sandbox).list_buckets()["Buckets"] == []


def test_a_presigned_url_is_good_as_long_as_it_says(sandbox: Sandbox) -> None:
    client = s3(sandbox)
    client.create_bucket(Bucket="carrying")
    client.put_object(Bucket="carrying", Key="a", Body=b"content")
    url = client.generate_presigned_url("get_object", Params={"Bucket": "carrying", "Key": "a"}, ExpiresIn=60)
    assert fetch(sandbox, url) == b"content"
    late = client.generate_presigned_url("get_object", Params={"Bucket": "carrying", "Key": "a"}, ExpiresIn=0)
    long = client.generate_presigned_url("get_object", Params={"Bucket": "carrying", "Key": "a"}, ExpiresIn=604801)
    for wrong in (late, long, url.replace("/a?", "/b?")):
        with pytest.raises(urllib.error.HTTPError) as raised:
            fetch(sandbox, wrong)
        assert raised.value.code == 403
    logged = [call for call in sandbox.control("GET", "calls") if call["face"] == "oos"]
    assert logged
    assert "X-Amz" not in json.dumps(logged)


def test_an_exported_image_is_imported_into_another_region_with_the_same_bytes(sandbox: Sandbox) -> None:
    client, image = s3(sandbox), an_image(sandbox)
    client.create_bucket(Bucket="carrying")
    task = exported(sandbox, image)
    assert (task["State"], task["Progress"]) == ("completed", 100)
    manifest = json.loads(client.get_object(Bucket="carrying", Key=manifest_key(task))["Body"].read())
    (disk,) = manifest["Image"]["Snapshots"]
    (source,) = sandbox.oapi().call("ReadImages", Filters={"ImageIds": [image]})["Images"]
    own = source["BlockDeviceMappings"][0]["Bsu"]["SnapshotId"]
    content = sandbox.machines.home.joinpath(own).read_bytes()
    assert gzip.decompress(fetch(sandbox, disk["PreSignedUrl"])) == content
    url = client.generate_presigned_url("get_object", Params={"Bucket": "carrying", "Key": manifest_key(task)})
    there = sandbox.oapi("main-us")
    made = there.call("CreateImage", FileLocation=url, ImageName="carried", BootModes=["legacy", "uefi"])["Image"]
    assert made["State"] == "pending"

    def seen() -> dict[str, Any]:
        found: dict[str, Any] = there.call("ReadImages", Filters={"ImageIds": [made["ImageId"]]})["Images"][0]
        return found

    wait_for(lambda: seen()["State"] == "available", bool)
    bsu = seen()["BlockDeviceMappings"][0]["Bsu"]
    assert (seen()["ImageName"], seen()["BootModes"], bsu["VolumeSize"]) == ("carried", ["legacy", "uefi"], 1)
    assert bsu["SnapshotId"] != own
    assert sandbox.machines.home.joinpath(bsu["SnapshotId"]).read_bytes() == content
    assert "X-Amz" not in json.dumps(sandbox.control("GET", "calls"))


def test_what_can_not_be_exported_or_imported_is_refused(sandbox: Sandbox) -> None:
    client, image, oapi = s3(sandbox), an_image(sandbox), sandbox.oapi()
    wanted = {"DiskImageFormat": "raw", "OsuBucket": "nowhere"}
    for parameters, refused in (
        ({"ImageId": image, "OsuExport": wanted}, "4002"),
        ({"ImageId": image, "OsuExport": {**wanted, "DiskImageFormat": "vdi"}}, "4047"),
        ({"ImageId": "ami-00000000", "OsuExport": wanted}, "5023"),
    ):
        with pytest.raises(Refused) as raised:
            oapi.call("CreateImageExportTask", **parameters)
        assert raised.value.code == refused
    client.create_bucket(Bucket="carrying")
    client.put_object(Bucket="carrying", Key="a", Body=b"{}")
    late = client.generate_presigned_url("get_object", Params={"Bucket": "carrying", "Key": "a"}, ExpiresIn=0)
    no_manifest = client.generate_presigned_url("get_object", Params={"Bucket": "carrying", "Key": "a"})
    for location, refused in ((late, "4088"), (no_manifest, "4027"), ("https://127.0.0.1:1/a", "4027")):
        with pytest.raises(Refused) as raised:
            oapi.call("CreateImage", FileLocation=location, ImageName="carried")
        assert raised.value.code == refused


def test_an_export_fails_or_is_stuck_as_a_fault_says(sandbox: Sandbox) -> None:
    client, image = s3(sandbox), an_image(sandbox)
    client.create_bucket(Bucket="carrying")
    sandbox.control("POST", "faults", {"resource": "export", "state": "failed"})
    assert exported(sandbox, image)["State"] == "failed"
    assert "Contents" not in client.list_objects_v2(Bucket="carrying")
    sandbox.control("POST", "faults", {"action": "CreateBucket", "face": "oos", "status": 409, "code": "BucketAlready"})
    with pytest.raises(ClientError) as raised:
        client.create_bucket(Bucket="another")
    assert code(raised) == (409, "BucketAlready")


def test_a_store_that_hangs_keeps_its_caller_waiting_and_nobody_else(sandbox: Sandbox) -> None:
    client = s3(sandbox)
    client.create_bucket(Bucket="carrying")
    client.put_object(Bucket="carrying", Key="a", Body=b"{}")
    url = client.generate_presigned_url("get_object", Params={"Bucket": "carrying", "Key": "a"})
    sandbox.control("POST", "faults", {"action": "GetObject", "face": "oos", "hang": True, "times": 2})
    with pytest.raises(TimeoutError):
        fetch(sandbox, url, limit=0.5)
    with pytest.raises(Refused) as raised:  # the cloud reads it itself, and this client waits no longer than LIMIT
        sandbox.oapi("main-us").call("CreateImage", FileLocation=url, ImageName="carried")
    assert raised.value.code == "4088"


def test_a_snapshot_that_can_not_be_read_makes_the_image_fail(sandbox: Sandbox) -> None:
    client, image = s3(sandbox), an_image(sandbox)
    client.create_bucket(Bucket="carrying")
    task = exported(sandbox, image)
    for each in client.list_objects_v2(Bucket="carrying")["Contents"]:
        if each["Key"].endswith(".gz"):
            client.delete_object(Bucket="carrying", Key=each["Key"])
    url = client.generate_presigned_url("get_object", Params={"Bucket": "carrying", "Key": manifest_key(task)})
    there = sandbox.oapi("main-us")
    made = there.call("CreateImage", FileLocation=url, ImageName="carried")["Image"]["ImageId"]
    wait_for(lambda: there.call("ReadImages", Filters={"ImageIds": [made]})["Images"][0]["State"] == "failed", bool)
