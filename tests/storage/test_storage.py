"""One contract over a folder and over S3."""

from __future__ import annotations

import hashlib
import os
import threading
from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from ai_hub.errors import (
    ObjectExists,
    ObjectMissing,
    StorageError,
    StorageRefused,
    StorageUnavailable,
)
from ai_hub.storage.base import Found, Storage, Upload
from ai_hub.storage.objects import ObjectStorage, Patience
from ai_hub.storage.opening import open_storage
from ai_hub.storage.sink import Sink
from ai_hub.storage.url import Url
from object_server import Between, Fault, ObjectServer, between

HASTY = Patience(answer=1, retries=1, whole=2, connect=1)


@pytest.fixture
def s3(bucket: str) -> Storage:
    return open_storage(Url.of(f"s3://{bucket}/ü a"), patience=HASTY)


@pytest.fixture(params=["folder", "s3"])
def storage(request: pytest.FixtureRequest, tmp_path: Path) -> Storage:
    if request.param == "s3":
        found: Storage = request.getfixturevalue("s3")
        return found
    return open_storage(Url.of(tmp_path / "ü a"))


NAMES = ("a/b.parquet", "a/month=2025-03/part-1.parquet", "a b%2Fc~.txt", "ab/ü.txt")


@pytest.mark.parametrize("where", ["x" * 256, "file", "loop"])
def test_where_nothing_can_be_there_is_nothing(tmp_path: Path, where: str) -> None:
    """As a folder may come to be after files were written there, or on another machine."""
    (tmp_path / "file").touch()
    (tmp_path / "loop").symlink_to("loop")
    storage = open_storage(Url("file", "", (*tmp_path.parts[1:], where)))
    with pytest.raises(ObjectMissing):
        storage.get("a")
    assert [*storage.list("a")] == []
    assert storage.uploads("a") == []
    with pytest.raises(StorageError, match=where):
        storage.put("a", b"a")


def test_what_was_put_is_there_until_it_is_deleted(storage: Storage) -> None:
    assert [*storage.list()] == []
    for name in NAMES:
        storage.put(name, name.encode())
    assert [*storage.list()] == sorted(Found(name, len(name.encode())) for name in NAMES)
    assert [one.name for one in storage.list("a")] == [NAMES[0], NAMES[1]]
    assert storage.get(NAMES[2]) == NAMES[2].encode()
    storage.put(NAMES[2], b"other")
    assert storage.get(NAMES[2]) == b"other"
    storage.delete([*NAMES[:3], "never/there"])
    assert [one.name for one in storage.list()] == [NAMES[3]]
    with pytest.raises(ObjectMissing, match="is not there"):
        storage.get(NAMES[0])
    with pytest.raises(ObjectMissing, match="is not there"):
        storage.open(NAMES[0])


def test_of_many_who_put_a_new_file_one_does(storage: Storage) -> None:
    won: list[int] = []

    def put(number: int) -> None:
        try:
            storage.put("manifest.json", b"%d" % number, new=True)
            won.append(number)
        except ObjectExists:
            pass

    threads = [threading.Thread(target=put, args=(number,)) for number in range(8)]
    for one in threads:
        one.start()
    for one in threads:
        one.join()
    assert len(won) == 1
    assert storage.get("manifest.json") == b"%d" % won[0]
    assert [one.name for one in storage.list()] == ["manifest.json"]


def test_pyarrow_writes_and_reads(storage: Storage) -> None:
    table = pa.table({"x": range(200_000), "y": os.urandom(200_000 * 8).hex(" ", 8).split()})
    with storage.writer("x/table.parquet") as sink:
        pq.write_table(table, sink, compression="none")
        assert not sink.closed
        assert [*storage.list()] == []
    assert sink.closed
    content = storage.get("x/table.parquet")
    assert (sink.size, sink.checksum) == (len(content), hashlib.sha256(content).hexdigest())
    with storage.open("x/table.parquet") as file:
        assert pq.ParquetFile(file).read(["x"]).column("x") == table.column("x")
    with storage.open("x/table.parquet") as file:
        assert pq.read_table(file) == table


def test_nothing_is_there_of_what_an_error_left(storage: Storage) -> None:
    def write(sink: Sink) -> None:
        with sink:
            for _ in range(3):
                sink.write(os.urandom(9 << 20))
            raise RuntimeError

    sink = storage.writer("half")
    with pytest.raises(RuntimeError):
        write(sink)
    assert sink.closed
    assert [*storage.list()] == []
    assert not storage.uploads()


def test_what_nobody_ended_is_found_and_given_up(storage: Storage) -> None:
    writers = [storage.writer(name) for name in ("mine/half", "mineral/half")]
    for sink in writers:
        for _ in range(3):
            sink.write(os.urandom(9 << 20))
    found = storage.uploads("mine")
    assert found is not None
    assert [one.name for one in found] == ["mine/half"]
    assert [one.name for one in storage.uploads() or ()] == ["mine/half", "mineral/half"]
    storage.abort(found[0])
    storage.abort(Upload("mine/half", "0" * 32))
    assert [one.name for one in storage.uploads() or ()] == ["mineral/half"]
    assert [*storage.list()] == []
    # Whoever goes on with it is told.
    with pytest.raises(StorageError):
        writers[0].close()
    writers[1].abort()
    assert not storage.uploads()
    assert [*storage.list()] == []


@pytest.fixture
def front(
    s3_server: ObjectServer, s3: Storage, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Between]:
    with between(s3_server) as front:
        monkeypatch.setenv("AWS_ENDPOINT_URL", front.endpoint)
        yield front


@pytest.fixture
def before(front: Between, s3: Storage) -> Storage:
    """A storage over a server that fails as `front` plans."""
    return ObjectStorage(s3.url, HASTY)


@pytest.mark.parametrize(
    ("fault", "kind", "said"),
    [
        (Fault("error", 503, "SlowDown", "Reduce your request rate."), StorageUnavailable,
         "it answered 503 Service Unavailable (SlowDown: Reduce your request rate)"),
        (Fault("error", 507, "InsufficientStorage", "The disk is full."), StorageUnavailable,
         "(InsufficientStorage: The disk is full)"),
        (Fault("error", 403, "InvalidAccessKeyId", "No key AKIATESTSONLY."), StorageRefused,
         "it answered 403 Forbidden (InvalidAccessKeyId: No key ***). Credentials are taken from "
         "the environment (AWS_ACCESS_KEY_ID, "),
        (Fault("error", 403, "AuthorizationFailure", "Not you.\nRequestId:1"), StorageRefused,
         "it answered 403 Forbidden (AuthorizationFailure: Not you). Credentials"),
        (Fault("error", 404, "NoSuchBucket", "?"), ObjectMissing, "there is no bucket bucket-"),
        (Fault("drop"), StorageUnavailable, "it did not answer as it should"),
        (Fault("slow", seconds=3), StorageUnavailable, "it did not answer in time"),
    ],
    ids=lambda value: value.kind + str(value.status) if isinstance(value, Fault) else "",
)  # fmt: skip
def test_a_failure_says_why_and_nothing_of_credentials(
    before: Storage,
    front: Between,
    s3_server: ObjectServer,
    fault: Fault,
    kind: type[StorageError],
    said: str,
) -> None:
    front.begin(lambda call: fault)
    with pytest.raises(kind) as caught:
        before.put("x", b"1")
    assert str(caught.value).startswith(f"{before.url}")
    assert said in str(caught.value)
    shown = f"{caught.value!r} {caught.value.__cause__} {before.url!r} {before!r}"
    assert not any(secret in shown for secret in (*[*s3_server.environment().values()][1:3],))


@pytest.mark.parametrize(
    ("fault", "said"),
    [(Fault("drop"), "it did not answer as it should"),
     (Fault("slow", seconds=3), "it did not answer in time"),
     (Fault("error", 503, "SlowDown", "?"), r"it answered 503 .*\(SlowDown")],
    ids=["drop", "slow", "error"],
)  # fmt: skip
def test_uploads_that_cannot_be_listed_have_the_same_reasons(
    before: Storage, front: Between, fault: Fault, said: str
) -> None:
    front.begin(lambda call: fault)
    with pytest.raises(StorageUnavailable, match=said):
        before.uploads()


def test_a_lost_answer_does_not_make_a_new_file_one_of_somebody_else(
    before: Storage, front: Between
) -> None:
    front.begin(lambda call: Fault("lose") if call.number == 0 else None)
    before.put("manifest.json", b"mine", new=True)
    assert before.get("manifest.json") == b"mine"
    with pytest.raises(ObjectExists):
        before.put("manifest.json", b"other", new=True)


def test_a_failure_at_any_call_of_an_upload_leaves_nothing(
    before: Storage, front: Between, s3_server: ObjectServer
) -> None:
    def write() -> None:
        with before.writer("big") as sink:
            for _ in range(3):
                sink.write(bytes(6 << 20))

    front.begin()
    write()
    calls = len(front.calls)
    assert calls >= 4
    before.delete(["big"])
    for at in range(calls):
        # Once: it is tried again. From there on: it fails, until the sweep.
        front.begin(lambda call, at=at: Fault("error") if call.number == at else None)
        write()
        before.delete(["big"])
        front.begin(lambda call, at=at: Fault("error") if call.number >= at else None)
        with pytest.raises(StorageUnavailable, match="it answered 500"):
            write()
        front.begin()
        for upload in before.uploads() or ():
            before.abort(upload)
        assert s3_server.uploads(before.url.bucket) == []
        assert [*before.list()] == []


def test_an_upload_that_is_not_answered_in_time_says_so(before: Storage, front: Between) -> None:
    front.begin(lambda call: Fault("slow", seconds=3) if call.number else None)
    sink = before.writer("big")
    with pytest.raises(StorageUnavailable, match=r"it did not answer.* in time"), sink:
        sink.write(bytes(18 << 20))
    front.begin()


def test_without_keys_uploads_are_not_told(s3: Storage, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    assert s3.uploads() is None
    with pytest.raises(StorageError, match="cannot be given up here"):
        s3.abort(Upload("x", "1"))


def test_an_unreachable_server_is_told(monkeypatch: pytest.MonkeyPatch, s3: Storage) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:1")
    with pytest.raises(StorageUnavailable, match="it cannot be reached"):
        ObjectStorage(s3.url, HASTY).get("x")
    with pytest.raises(StorageUnavailable, match="it cannot be reached"):
        ObjectStorage(s3.url, HASTY).uploads()
