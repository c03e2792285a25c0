"""Buckets: whose they are is proved before they go, and what is exported is read to the last byte."""

from __future__ import annotations

import gzip
import hashlib
import socket
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from typing import Any

import pytest
from botocore.exceptions import ResponseStreamingError
from urllib3.exceptions import ProtocolError

from omi.outscale.client import Cloud
from omi.outscale.images import find_own
from omi.outscale.oos import MARK, Mark, ObjectStore, drop_buckets, prefix_of, temporary_bucket, unpacked
from omi.outscale.refused import RefusedKeyError
from omi.outscale.shapes import Omi
from omi.outscale.sweep import Builds, Leftover, Search, find_buckets, remove_leftovers
from omi.outscale.transfer import Exported, digest_of, export_omi, import_omi, offer
from omi.outscale.waiting import InterruptedBuildError
from omi.state.image import CloudAccess
from omi.state.owner import build_id_of
from omi.support.errors import CloudError, CredentialsError
from tests.omi.outscale.conftest import access_of
from tests.omi.specs import OWNER
from tests.sandbox.client import Sandbox, empty_volume, register, snapshot, wait_state

OURS = Mark(stack_id=OWNER.stack_id, run="image@us-east-2")
RUN = build_id_of(OWNER, OURS.run).removeprefix("b-")
NEVER = threading.Event()


@pytest.fixture
def store(sandbox: Sandbox, access: CloudAccess) -> ObjectStore:
    return store_of(sandbox, access)


def store_of(sandbox: Sandbox, access: CloudAccess) -> ObjectStore:
    oos = sandbox.settings.addresses.oos_endpoint
    reached = access.model_copy(update={"oos": oos})
    return ObjectStore(reached, Cloud.connect(reached).credentials)


def test_a_bucket_has_a_name_that_nobody_guesses_and_is_gone_afterwards_whatever_happens(store: ObjectStore) -> None:
    names = set()
    for _ in range(2):
        with suppress(RuntimeError), temporary_bucket(store, RUN, OURS, print) as bucket:
            assert store.own() == [bucket]
            assert store.mark_of(bucket) == OURS
            store.put(bucket, "a/b", b"content")
            names.add(bucket)
            raise RuntimeError
        assert store.own() == []
    assert len(names) == 2
    assert {len(name.removeprefix(prefix_of(RUN))) for name in names} == {32}


def test_one_that_can_not_be_deleted_takes_nothing_with_it_and_is_dropped_later(
    sandbox: Sandbox, store: ObjectStore
) -> None:
    said: list[str] = []
    with temporary_bucket(store, RUN, OURS, said.append) as bucket:
        refused = {"action": "DeleteBucket", "face": "oos", "status": 403, "code": "AccessDenied"}
        sandbox.control("POST", "faults", refused)
    assert [line.split(":")[0] for line in said] == [f"bucket {bucket} is still there"]
    assert store.own() == [bucket]
    drop_buckets(store, RUN, OURS, said.append)
    assert store.own() == []


def test_one_that_could_be_emptied_only_in_part_still_says_whose_it_is(sandbox: Sandbox, store: ObjectStore) -> None:
    with temporary_bucket(store, RUN, OURS, lambda _: None) as bucket:
        store.put(bucket, "export/disk", b"content")
        refused = {"action": "DeleteObject", "face": "oos", "status": 403, "code": "AccessDenied", "skip": 1}
        sandbox.control("POST", "faults", refused)
    assert len(store.keys(bucket)) == 1
    drop_buckets(store, RUN, OURS, lambda _: None)
    assert store.own() == []


def test_only_buckets_of_this_run_are_dropped(store: ObjectStore) -> None:
    said: list[str] = []
    ours = store.create(RUN, OURS)
    another_stack = store.create(RUN, OURS.model_copy(update={"stack_id": "other"}))
    another_image = store.create("f" * 16, OURS.model_copy(update={"run": "another"}))
    unmarked, empty = f"{prefix_of(RUN)}unmarked", f"{prefix_of(RUN)}empty"
    for name in (unmarked, empty, "somebody-elses"):
        store.call(store.s3.create_bucket, Bucket=name)
    store.put(unmarked, "precious", b"content")
    drop_buckets(store, RUN, OURS, said.append)
    assert set(store.own("")) == {another_stack, another_image, unmarked, "somebody-elses"}
    assert [line.split()[2] for line in said] == sorted([ours, empty])
    drop_buckets(store, RUN, OURS, said.append)
    assert len(said) == 2


def remove(access: CloudAccess, found: list[Leftover], store: ObjectStore) -> None:
    search = Search(Cloud.connect(access), Builds(OWNER, frozenset()))
    remove_leftovers(search, found, lambda _: None, store)


def test_a_sweep_finds_what_says_that_it_is_this_stacks(access: CloudAccess, store: ObjectStore) -> None:
    mine = store.create(RUN, OURS)
    theirs = store.create(RUN, OURS.model_copy(update={"stack_id": "other"}))
    copied = store.create("0123456789abcdef", OURS)  # the mark of another bucket
    store.call(store.s3.create_bucket, Bucket="alpine-omi-by-hand")
    found = find_buckets(store, OWNER, ["image@us-east-2"])
    assert {(each.id, each.name, each.stays) for each in found} == {(mine, OURS.run, False), (copied, OURS.run, True)}
    for _ in range(2):
        remove(access, found, store)
    assert store.own() == sorted([theirs, copied, "alpine-omi-by-hand"])


def test_a_mark_that_can_not_be_read_for_another_reason_is_no_proof_of_anything(
    sandbox: Sandbox, store: ObjectStore
) -> None:
    bucket = store.create(RUN, OURS)
    sandbox.control("POST", "faults", {"action": "GetObject", "face": "oos", "status": 403, "code": "AccessDenied"})
    with pytest.raises(CredentialsError, match=r"may not call s3:GetObject at .*eim-policy-copy\.json"):
        drop_buckets(store, RUN, OURS, lambda _: None)
    assert store.own() == [bucket]
    store.put(bucket, MARK, b"no mark")
    drop_buckets(store, RUN, OURS, lambda _: None)
    assert store.own() == [bucket]


@pytest.mark.parametrize("action", ["GetObject", "DeleteBucket"])
def test_a_refusal_is_neither_a_missing_mark_nor_a_deleted_bucket(
    sandbox: Sandbox, store: ObjectStore, action: str
) -> None:
    empty = f"{prefix_of(RUN)}empty"
    store.call(store.s3.create_bucket, Bucket=empty)
    sandbox.control("POST", "faults", {"action": action, "face": "oos", "status": 400, "code": "InvalidRequest"})
    with pytest.raises(CloudError, match="InvalidRequest"):
        drop_buckets(store, RUN, OURS, pytest.fail)
    assert store.own() == [empty]


def test_a_page_of_maintenance_is_not_taken_for_an_object(sandbox: Sandbox, store: ObjectStore) -> None:
    with temporary_bucket(store, RUN, OURS, print) as bucket:
        store.put(bucket, "disk", b"content")
        page = {"action": "GetObject", "face": "oos", "body": "<html>under maintenance</html>"}
        sandbox.control("POST", "faults", page)
        with pytest.raises(CloudError, match="its answer is not an object of a store; is there a proxy"):
            digest_of(store, Exported(bucket=bucket, key="disk", device="/dev/sda1", size=1), NEVER)
        assert store.get(bucket, "disk") == b"content"


@pytest.mark.parametrize("number", [0, 1])
def test_a_page_of_maintenance_is_not_taken_for_an_empty_bucket(
    sandbox: Sandbox, store: ObjectStore, number: int
) -> None:
    theirs = store.create(RUN, OURS.model_copy(update={"stack_id": "other"}))
    unmarked = f"{prefix_of(RUN)}unmarked"
    store.call(store.s3.create_bucket, Bucket=unmarked)
    store.put(unmarked, "precious", b"content")
    page = {"action": "ListBucket", "face": "oos", "body": "<html>under maintenance</html>", "skip": number}
    sandbox.control("POST", "faults", page)
    with suppress(CloudError):
        drop_buckets(store, RUN, OURS, print)
    assert store.own() == sorted([theirs, unmarked])
    assert store.get(unmarked, "precious") == b"content"


@pytest.mark.parametrize("action", ["ListBucket", "ListAllMyBuckets"])
def test_a_page_of_maintenance_is_no_list(sandbox: Sandbox, store: ObjectStore, action: str) -> None:
    bucket = store.create(RUN, OURS)
    sandbox.control("POST", "faults", {"action": action, "face": "oos", "body": "<html>under maintenance</html>"})
    calls: dict[str, Callable[[], object]] = {"ListBucket": lambda: store.keys(bucket), "ListAllMyBuckets": store.own}
    with pytest.raises(CloudError, match="its answer is not a list of"):
        calls[action]()


def test_a_bucket_goes_once_a_busy_store_has_time_for_it(sandbox: Sandbox, store: ObjectStore) -> None:
    said: list[str] = []
    with temporary_bucket(store, RUN, OURS, said.append):
        busy = {"action": "DeleteBucket", "face": "oos", "status": 503, "code": "SlowDown", "times": 5}
        sandbox.control("POST", "faults", busy)
    assert store.own() == []
    assert said == []


def test_what_is_still_written_into_a_bucket_goes_with_it(store: ObjectStore, monkeypatch: pytest.MonkeyPatch) -> None:
    list_all, late = ObjectStore.keys, ["export/disk"]

    def keys(self: ObjectStore, bucket: str) -> list[str]:
        found = list_all(self, bucket)
        if late:
            self.put(bucket, late.pop(), b"content")
        return found

    said: list[str] = []
    with temporary_bucket(store, RUN, OURS, said.append):
        monkeypatch.setattr(ObjectStore, "keys", keys)
    assert (store.own(), said) == ([], [])


def test_a_bucket_of_several_pages_goes_as_a_whole_and_its_mark_last(
    store: ObjectStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    bucket, other = store.create(RUN, OURS), store.create("f" * 16, OURS)
    for key in ("a", "z"):
        store.put(bucket, key, b"content")
    deleted: list[str] = []
    delete_object = store.s3.delete_object

    def delete(**given: Any) -> object:
        deleted.append(given["Key"])
        return delete_object(**given)

    monkeypatch.setattr(store.s3, "list_objects_v2", partial(store.s3.list_objects_v2, MaxKeys=1))
    monkeypatch.setattr(store.s3, "delete_object", delete)
    assert store.keys(bucket) == ["a", MARK, "z"]
    with monkeypatch.context() as patch:
        patch.setattr("omi.outscale.oos._PAGES", 2)
        with pytest.raises(CloudError, match=f"{bucket}: has more than 2 pages of objects"):
            store.keys(bucket)
    store.delete(bucket)
    assert deleted == ["a", "z", MARK]
    assert store.own() == [other]


@pytest.mark.parametrize("right", ["s3:ListAllMyBuckets", "s3:ListBucket", "api:ReadImageExportTasks"])
def test_a_right_that_a_copy_lacks_is_told_as_its_policy_names_it(
    sandbox: Sandbox, store: ObjectStore, right: str
) -> None:
    deny = {"Effect": "Deny", "Action": [right], "Resource": ["*"]}
    bucket = store.create(RUN, OURS)
    sandbox.control("PUT", "policies", {"main": {"Statement": [{**deny, "Effect": "Allow", "Action": ["*"]}, deny]}})
    calls: dict[str, Callable[[], object]] = {
        "s3:ListAllMyBuckets": store.own,
        "s3:ListBucket": lambda: store.keys(bucket),
        "api:ReadImageExportTasks": lambda: Cloud.connect(store.access).call("ReadImageExportTasks"),
    }
    with pytest.raises(CredentialsError, match=rf"may not call {right} at .*eim-policy-copy\.json"):
        calls[right]()


def unreached(store: ObjectStore, oos: str) -> ObjectStore:
    """The store at an address where no store is."""
    return ObjectStore(store.access.model_copy(update={"oos": oos}), store.credentials)


def test_a_store_that_is_not_there_is_one_line_and_no_empty_store(store: ObjectStore) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    absent = unreached(store, f"http://127.0.0.1:{port}")
    calls: tuple[Callable[[], object], ...] = (absent.own, lambda: absent.drop("alpine-omi-x", lambda _: True))
    for call in calls:
        with pytest.raises(CloudError, match="connection refused: nothing listens there"):
            call()
    with pytest.raises(CloudError, match=r"nowhere: .*correct cloud\.oos in the stack's config"):
        unreached(store, "nowhere")


def test_a_store_that_never_answers_is_left_at_the_limit(store: ObjectStore, monkeypatch: pytest.MonkeyPatch) -> None:
    limits = store.access.limits.model_copy(update={"connect": 0.01, "answer": 0.04})
    monkeypatch.setattr(store, "access", store.access.model_copy(update={"limits": limits}))
    answered = threading.Event()
    with pytest.raises(CloudError, match=r"no whole answer to wait within 4 tries of 0\.05 s \(cloud\.limits"):
        store.call(answered.wait, 60)
    answered.set()


@pytest.mark.parametrize("error", [ValueError, TypeError, AttributeError, KeyError])
def test_an_answer_that_can_not_be_read_is_one_line(store: ObjectStore, error: type[Exception]) -> None:
    def read() -> None:
        raise error("what a proxy sent")

    with pytest.raises(CloudError, match=rf"its answer can't be read \({error.__name__}\); run again"):
        store.call(read)


def test_a_url_is_signed_for_its_time_and_object(store: ObjectStore) -> None:
    url = store.presign("bucket", "disk", 60)
    assert "/bucket/disk?" in url
    assert "X-Amz-Expires=60&" in url
    assert "X-Amz-Signature=" in url, "the fourth version"


def test_a_bucket_is_made_once_though_the_answer_is_lost(sandbox: Sandbox, store: ObjectStore) -> None:
    """OOS answers the second try that the account owns it already."""
    told = {"status": 409, "code": "BucketAlreadyOwnedByYou", "after": True}
    sandbox.control("POST", "faults", {"action": "CreateBucket", "face": "oos", **told})
    bucket = store.create(RUN, OURS)
    assert store.own() == [bucket]
    assert store.mark_of(bucket) == OURS
    sandbox.control("POST", "faults", {"action": "CreateBucket", "face": "oos", **told, "code": "BucketAlreadyExists"})
    with pytest.raises(CloudError, match="BucketAlreadyExists"):
        store.create(RUN, OURS)


@pytest.mark.parametrize("size", [1, 70_000, 3_000_000])
def test_what_was_gzipped_is_unpacked_in_whatever_pieces_and_parts(size: int) -> None:
    content = bytes(range(256)) * (size // 256 + 1)
    packed = gzip.compress(content[:size]) + gzip.compress(content[size:])
    for step in (1 << 20, 1000):
        pieces = iter([packed[start : start + step] for start in range(0, len(packed), step)])
        assert b"".join(unpacked(pieces)) == content
    assert b"".join(unpacked(iter([content]))) == content
    with pytest.raises(CloudError, match="not a good gzip"):
        list(unpacked(iter([packed[:20] + b"broken" * 9])))
    with pytest.raises(CloudError, match="it ends too early"):
        list(unpacked(iter([packed[:-1]])))


def test_an_empty_disk_is_never_in_memory_as_a_whole() -> None:
    size = 64 * 1024**2 + 1
    pieces = [len(piece) for piece in unpacked(iter([gzip.compress(bytes(size), 1)]))]
    assert sum(pieces) == size
    assert max(pieces) <= 1024**2


@pytest.fixture
def carried(sandbox: Sandbox, access: CloudAccess) -> Omi:
    oapi = sandbox.oapi()
    made = register(oapi, "to-carry", snapshot(oapi, empty_volume(oapi)))
    wait_state(oapi, made, "available")
    found = find_own(Cloud.connect(access), "to-carry")
    assert found is not None
    return found


def test_there_and_back_the_digest_is_that_of_the_disk(
    sandbox: Sandbox, access: CloudAccess, store: ObjectStore, carried: Omi
) -> None:
    there = Cloud.connect(access_of(sandbox, "main-us"))
    with temporary_bucket(store, RUN, OURS, print) as bucket:
        disk = export_omi(Cloud.connect(access), store, carried, bucket, NEVER)
        digest = digest_of(store, disk, NEVER)
        location = offer(store, disk, "to-carry", "b-1", "standard")
        made = import_omi(there, location, "to-carry", "b-1", ["legacy"], NEVER)
    contents = [sandbox.machines.home.joinpath(omi.snapshots[0]).read_bytes() for omi in (carried, made)]
    assert contents[0] == contents[1]
    assert digest == f"sha256:{hashlib.sha256(contents[0]).hexdigest()}"
    assert (made.name, made.state, made.volume_size) == ("to-carry", "available", carried.volume_size)


def test_no_url_is_in_an_error_of_the_import_and_no_bucket_stays(
    sandbox: Sandbox, access: CloudAccess, store: ObjectStore, carried: Omi
) -> None:
    there = Cloud.connect(access_of(sandbox, "main-us"))
    with temporary_bucket(store, RUN, OURS, print) as bucket:
        disk = export_omi(Cloud.connect(access), store, carried, bucket, NEVER)
        location = offer(store, disk, "to-carry", "b-1", "standard")
        refused: dict[str, Any] = {"action": "CreateImage", "status": 400, "code": "4027", "details": f"no {location}"}
        sandbox.control("POST", "faults", refused)
        with pytest.raises(CloudError) as raised:
            import_omi(there, location, "to-carry", "b-1", ["legacy"], NEVER)
    assert "X-Amz" not in str(raised.value)
    assert str(raised.value).startswith("the import of to-carry was refused: ")
    assert store.own() == []


def test_an_interruption_is_noticed_while_a_disk_is_read(store: ObjectStore) -> None:
    stop = threading.Event()
    with temporary_bucket(store, RUN, OURS, print) as bucket:
        store.put(bucket, "disk", b"content")
        disk = Exported(bucket=bucket, key="disk", device="/dev/sda1", size=1)
        assert digest_of(store, disk, stop).startswith("sha256:")
        stop.set()
        with pytest.raises(InterruptedBuildError):
            digest_of(store, disk, stop)
    assert store.own() == []


@pytest.mark.parametrize("mark", [b"x" * (1024 * 1024 + 1), b"no JSON", b"{}"], ids=["oversized", "no JSON", "no mark"])
def test_a_foreign_bucket_stops_no_sweep_whatever_its_mark_holds(
    access: CloudAccess, store: ObjectStore, mark: bytes
) -> None:
    store.call(store.s3.create_bucket, Bucket="alpine-omi-foreign")
    store.put("alpine-omi-foreign", MARK, mark)
    mine = store.create(RUN, OURS)
    found = find_buckets(store, OWNER, ["image@us-east-2"])
    assert [each.id for each in found] == [mine]
    remove(access, found, store)
    assert store.own() == ["alpine-omi-foreign"]


def test_a_bucket_whose_mark_may_not_be_read_is_told_and_stays(sandbox: Sandbox, store: ObjectStore) -> None:
    first, mine = store.create(RUN, OURS), store.create(RUN, OURS)
    sandbox.control("POST", "faults", {"action": "GetObject", "face": "oos", "status": 403, "code": "AccessDenied"})
    unread, read = find_buckets(store, OWNER, ["image@us-east-2"])
    assert {unread.id, read.id} == {first, mine}
    assert unread.stays
    assert "may not call s3:GetObject" in unread.why
    assert not read.stays


def drip(monkeypatch: pytest.MonkeyPatch, seconds: float) -> None:
    """Have every byte of an object take so long."""

    def read(*_: object) -> bytes:
        time.sleep(seconds)
        return b"x"

    monkeypatch.setattr("botocore.response.StreamingBody.read", read)


@pytest.mark.parametrize("limits", [{"answer": 1, "connect": 1}, {"transfer": 1}], ids=["a mark", "a disk"])
def test_an_object_that_drips_is_left_at_the_limit(
    store: ObjectStore, monkeypatch: pytest.MonkeyPatch, limits: dict[str, int]
) -> None:
    bucket = store.create(RUN, OURS)
    slow = store.access.model_copy(update={"limits": store.access.limits.model_copy(update=limits)})
    monkeypatch.setattr(store, "access", slow)
    drip(monkeypatch, 0.3)
    begin = time.monotonic()
    disk = Exported(bucket=bucket, key=MARK, device="/dev/sda1", size=1)
    read: Callable[[], object] = partial(store.get, bucket, MARK)
    if "transfer" in limits:
        read = partial(digest_of, store, disk, NEVER)
    with pytest.raises(CloudError, match=r"not read within 1 s \(cloud\.limits\); run again"):
        read()
    assert time.monotonic() - begin < 5


@pytest.mark.parametrize(
    "error",
    [ResponseStreamingError(error="reset"), ProtocolError("Connection broken"), ConnectionResetError()],
    ids=lambda error: type(error).__name__,
)
def test_an_object_whose_reading_breaks_off_is_one_line_and_proves_nothing(
    store: ObjectStore, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    ours, unmarked = store.create(RUN, OURS), f"{prefix_of(RUN)}unmarked"
    store.call(store.s3.create_bucket, Bucket=unmarked)
    store.put(unmarked, MARK, b"no mark")

    def read(*_: object) -> bytes:
        raise error

    with monkeypatch.context() as patch:
        patch.setattr("botocore.response.StreamingBody.read", read)
        with pytest.raises(CloudError, match=rf"{MARK}: reading it broke off \({type(error).__name__}\); run again"):
            drop_buckets(store, RUN, OURS, pytest.fail)
    assert store.own() == sorted([ours, unmarked])


def test_a_download_stops_when_the_build_does(store: ObjectStore, monkeypatch: pytest.MonkeyPatch) -> None:
    bucket, stop = store.create(RUN, OURS), threading.Event()
    drip(monkeypatch, 3)
    threading.Timer(0.2, stop.set).start()
    begin = time.monotonic()
    with pytest.raises(InterruptedBuildError):
        digest_of(store, Exported(bucket=bucket, key=MARK, device="/dev/sda1", size=1), stop)
    assert time.monotonic() - begin < 2.5


def test_an_object_that_is_no_mark_by_its_size_is_not_read_to_its_end(store: ObjectStore) -> None:
    bucket = store.create(RUN, OURS)
    store.put(bucket, "most", b"x" * 1024 * 1024)
    store.put(bucket, MARK, b"x" * (1024 * 1024 + 1))
    assert len(store.get(bucket, "most")) == 1024 * 1024
    with pytest.raises(CloudError, match=f"{bucket}/{MARK}: has more than 1048576 bytes"):
        store.get(bucket, MARK)
    assert store.mark_of(bucket) is None


def test_a_bucket_without_a_mark_is_left_unless_it_is_empty_and_named_after_a_run(store: ObjectStore) -> None:
    names = [f"{prefix_of(RUN)}{number}" for number in "12"] + [f"{prefix_of('0123456789abcdef')}3"]
    for name in names:
        store.call(store.s3.create_bucket, Bucket=name)
    store.put(names[1], "precious", b"content")
    found = find_buckets(store, OWNER, [OURS.run])
    assert [(each.id, each.stays, "has no mark" in each.why) for each in found] == [
        (names[0], False, False),
        (names[1], True, True),
    ]


def test_a_refused_key_stops_the_search_of_buckets(store: ObjectStore, monkeypatch: pytest.MonkeyPatch) -> None:
    store.create(RUN, OURS)

    def refuse(*_: object) -> None:
        raise RefusedKeyError("the key was refused")

    monkeypatch.setattr(ObjectStore, "mark_of", refuse)
    with pytest.raises(RefusedKeyError):
        find_buckets(store, OWNER, [OURS.run])
