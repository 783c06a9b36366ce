"""Room for bodies: so much together, in the order asked, and nobody waits for long."""

from __future__ import annotations

import asyncio
import io
import json
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import suppress

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from acceptance.serving import Server, serving
from ai_hub.errors import Busy
from ai_hub.http.room import Room, Rooms, Share, TooSlow
from watching import COMMAND, eventually

MIB = 1024 * 1024


async def settled() -> None:
    for _ in range(5):
        await asyncio.sleep(0)


@given(st.lists(st.tuples(st.integers(1, 10), st.sampled_from(["ends", "leaves"])), max_size=12))
async def test_no_more_than_there_is_and_first_come_first_served(
    asked: list[tuple[int, str]],
) -> None:
    room = Room(10)
    got: list[int] = []

    async def one(place: int, count: int, how: str) -> None:
        await room.take(count)
        try:
            got.append(place)
            await asyncio.sleep(0.001 * (how == "leaves"))
        finally:
            room.give(count)

    tasks = []
    for place, (count, how) in enumerate(asked):
        tasks.append(asyncio.create_task(one(place, count, how)))
        await settled()
        if how == "leaves":
            tasks[-1].cancel()
        assert 0 <= room.left <= 10
    await asyncio.gather(*tasks, return_exceptions=True)
    assert got == sorted(got)
    assert {place for place, (_, how) in enumerate(asked) if how == "ends"} <= {*got}
    assert room.left == 10


async def test_a_wait_ends_with_a_refusal_that_says_when_to_come_again() -> None:
    room = Room(10, seconds=0.05)
    await room.take(7)
    behind = asyncio.create_task(room.take(4))
    await settled()
    with pytest.raises(Busy, match="Try again in 10 s"):
        await room.take(3)
    with pytest.raises(Busy):
        await behind
    await room.take(3)
    assert room.left == 0
    room.give(10)
    assert room.left == 10


async def test_one_of_the_largest_or_several_others() -> None:
    rooms = Rooms(64 * MIB)
    everything = rooms.large.left
    shares = [Share(rooms) for _ in range(3)]
    await shares[0].take(64 * MIB)
    assert rooms.large.left == 0
    await shares[1].take(64 * 1024)
    await shares[2].take(MIB)
    assert rooms.small.left == 63 * MIB
    shares[0].end()
    for share in shares[:2]:
        await share.take(18 * MIB)
    assert 0 < rooms.large.left < everything // 2
    for share in shares:
        share.end()
        share.end()
    assert (rooms.large.left, rooms.small.left) == (everything, 64 * MIB)


async def test_a_body_without_a_size_counts_as_the_largest_until_it_ends() -> None:
    rooms = Rooms(64 * MIB)
    everything = rooms.large.left
    share = Share(rooms)
    for size, large, small in (
        (1_000, everything, 64 * MIB),
        (70_000, everything, 63 * MIB),
        (MIB + 1, 0, 64 * MIB),
        (20 * MIB, 0, 64 * MIB),
    ):
        await share.grow(size, 64 * MIB)
        assert (rooms.large.left, rooms.small.left) == (large, small)
    share.fit(20 * MIB)
    assert rooms.large.left == 8 * 44 * MIB
    share.end()
    assert rooms.large.left == everything


async def test_what_an_answer_takes_is_had_instead_of_what_its_body_did() -> None:
    rooms = Rooms(64 * MIB)
    everything = rooms.large.left
    small, large = Share(rooms), Share(rooms)
    await small.take(MIB)
    await large.take(18 * MIB)
    assert (small.large, large.large) == (False, True)
    await large.have(18 * MIB)
    await small.have(200 * MIB)
    assert small.large
    assert (rooms.large.left, rooms.small.left) == (everything - 218 * MIB, 64 * MIB)
    behind = asyncio.create_task(large.have(everything))
    await settled()
    assert rooms.large.left == everything - 218 * MIB
    small.end()
    await behind
    assert rooms.large.left == 0
    large.end()
    assert rooms.large.left == everything


async def test_large_spines_wait_unread_but_for_one() -> None:
    rooms = Rooms(64 * MIB, patience=0.1, queue=2)
    large, spines = rooms.large.left, [Share(rooms, spine=True) for _ in range(5)]
    for share in spines[:2]:
        await share.take(2 * MIB)
        await share.have(2 * MIB)
    behind = [asyncio.create_task(share.take(2 * MIB)) for share in spines[2:4]]
    await settled()
    assert not any(one.done() for one in behind)
    with pytest.raises(Busy, match=r"^spine: 2 wait for their turn already \(AI_HUB_EXPORT_QUEUE"):
        await spines[4].take(2 * MIB)
    # Neither small spines nor other bodies do.
    await spines[4].take(MIB)
    await Share(rooms).take(2 * MIB)
    spines[0].end()
    await behind[0]
    # Whom others wait for has so long to arrive, also where they waited before it began.
    with pytest.raises(TooSlow):
        async with rooms.arriving(spines[2]):
            await asyncio.sleep(10)
    behind[1].cancel()
    for share in spines:
        share.end()
    assert (rooms.spines.left, rooms.spines.crowded) == (2, False)
    assert rooms.large.left == large - 8 * 2 * MIB - 100_000_000


async def arriving(rooms: Rooms, seconds: float) -> None:
    async with rooms.arriving(Share(rooms)):
        await asyncio.sleep(seconds)


async def test_who_arrives_has_as_long_as_nobody_waits_and_then_so_long_in_all() -> None:
    rooms = Rooms(2 * MIB, patience=0.1)
    first, second = Share(rooms), Share(rooms)
    await first.take(2 * MIB)
    await arriving(rooms, 0.15)
    slow = asyncio.create_task(arriving(rooms, 10))
    await settled()
    behind = asyncio.create_task(second.take(2 * MIB))
    with pytest.raises(TooSlow, match=r"had not arrived after 0\.1 s"):
        await slow
    first.end()
    await behind
    second.end()


@pytest.fixture(scope="module")
def narrow(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server with room for one body of 2 MiB at a time."""
    how = {"database_url": "duckdb:///:memory:", "max_body": "4MiB"}
    with serving(COMMAND, tmp_path_factory.mktemp("narrow"), **how) as running:
        running.call("GET", "/sets")  # it has started in full
        yield running


@pytest.mark.parametrize(
    ("route", "chunked"), [("ingest", True), ("ingest/weather", False), ("training-set", False)]
)
def test_a_large_body_waits_unread_while_another_is_read(
    narrow: Server, route: str, chunked: bool
) -> None:
    query = "?tenant_id=t" + "&feature_set=forecast_basic" * (route == "training-set")
    path = f"/ai/features/{route}{query}"
    content = b"timestamp,asset_id,value,temperature\n" + b"2025-01-01T00:00:00Z,a,1,1\n" * 80_000
    size = b"transfer-encoding: chunked" if chunked else b"content-length: %d" % len(content)
    first = b"%x\r\n%b\r\n" % (len(content), content) if chunked else content[:-20]
    head = f"POST {path} HTTP/1.1\r\nhost: localhost\r\ncontent-type: text/csv\r\n".encode()
    csv = {"headers": {"content-type": "text/csv"}}
    with socket.create_connection(("127.0.0.1", narrow.port), timeout=120) as stuck:
        stuck.sendall(head + size + b"\r\n\r\n" + first)
        time.sleep(0.3)
        begin = time.monotonic()
        refused = narrow.client.post(path, content=content, **csv)
        assert refused.status_code == 503
        assert 2 < time.monotonic() - begin < 60
        assert refused.headers["retry-after"] == "10"
        assert refused.json()["detail"].startswith("body: others are being read")
        # What is not large waits for nobody.
        rows = [{"timestamp": "2025-01-01T00:00:00Z", "asset_id": "a" * 200, "value": 1}] * 3_000
        found = narrow.call("POST", "/ingest", {"tenant_id": "u", "rows": rows})
        assert found["accepted"] == 3_000
        assert len(json.dumps(rows)) > 64 * 1024
        stuck.sendall(b"0\r\n\r\n" if chunked else content[-20:])
        assert stuck.recv(100).startswith(b"HTTP/1.1 200 ")
    # And as soon as there is room it is read.
    eventually(lambda: narrow.client.post(path, content=content, **csv).status_code == 200)


def test_a_client_that_drips_keeps_nobody_out_for_long(
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    how = {"database_url": "duckdb:///:memory:", "max_body": "4MiB", "body_timeout": "3s"}
    path = "/ai/features/ingest?tenant_id=t"
    content = b"timestamp,asset_id,value\n" + b"2025-01-01T00:00:00Z,a,1\n" * 100_000
    head = f"POST {path} HTTP/1.1\r\nhost: localhost\r\ncontent-length: {len(content)}\r\n\r\n"
    with (
        serving(COMMAND, tmp_path_factory.mktemp("drips"), **how) as server,
        socket.create_connection(("127.0.0.1", server.port), timeout=120) as dripper,
    ):
        server.call("GET", "/sets")
        dripper.sendall(head.encode() + content[:-100])
        stop = threading.Event()

        def drip() -> None:
            while not stop.wait(0.2):
                with suppress(OSError):
                    dripper.send(b"1")

        thread = threading.Thread(target=drip)
        thread.start()
        try:
            time.sleep(0.5)
            kind = {"content-type": "text/csv"}
            eventually(
                lambda: server.client.post(path, content=content, headers=kind).status_code == 200
            )
            assert dripper.recv(100).startswith(b"HTTP/1.1 408 ")
        finally:
            stop.set()
            thread.join()


def test_who_waits_is_read_once_there_is_room(narrow: Server) -> None:
    path = "/ai/features/ingest?tenant_id=t"
    content = b"timestamp,asset_id,value\n" + b"2025-01-01T00:00:00Z,a,1\n" * 100_000
    head = f"POST {path} HTTP/1.1\r\nhost: localhost\r\ncontent-type: text/csv\r\n".encode()
    head += b"content-length: %d\r\n\r\n" % len(content)
    with (
        socket.create_connection(("127.0.0.1", narrow.port), timeout=120) as first,
        socket.create_connection(("127.0.0.1", narrow.port), timeout=120) as second,
    ):
        first.sendall(head + content[:-1])
        time.sleep(0.2)
        second.sendall(head.replace(b"\r\n\r\n", b"\r\nexpect: 100-continue\r\n\r\n"))
        second.settimeout(0.5)
        with pytest.raises(TimeoutError):
            second.recv(100)
        first.sendall(content[-1:])
        second.settimeout(20)
        assert second.recv(100).startswith(b"HTTP/1.1 100 ")
        second.sendall(content)
        for connection in (first, second):
            assert connection.recv(100).startswith(b"HTTP/1.1 200 ")


def test_a_spine_of_more_than_its_answer_may_take_is_refused(narrow: Server) -> None:
    rows = 1_000_000
    sink = io.BytesIO()
    spine = pa.table({
        "timestamp": pa.array(np.zeros(rows, np.int64), pa.timestamp("us", "UTC")),
        "asset_id": pa.DictionaryArray.from_arrays(np.zeros(rows, np.int8), ["a"]),
    })  # fmt: skip
    pq.write_table(spine, sink, compression="zstd")
    assert sink.tell() < 20_000
    path = "/ai/features/training-set?tenant_id=t&feature_set=forecast_advanced"
    kind = {"content-type": "application/vnd.apache.parquet"}
    answer = narrow.client.post(path, content=sink.getvalue(), headers=kind)
    assert answer.status_code == 422
    assert answer.json()["detail"].startswith("spine: got '1000000 rows', expected at most ")


def test_a_client_that_leaves_leaves_its_room(narrow: Server) -> None:
    path = "/ai/features/ingest?tenant_id=t"
    content = b"timestamp,asset_id,value\n" + b"2025-01-01T00:00:00Z,a,1\n" * 100_000
    head = f"POST {path} HTTP/1.1\r\nhost: localhost\r\ncontent-length: {len(content)}\r\n\r\n"
    for _ in range(3):
        with socket.create_connection(("127.0.0.1", narrow.port), timeout=120) as connection:
            connection.sendall(head.encode() + content[: len(content) // 2])
            time.sleep(0.1)
    answer = narrow.client.post(path, content=content, headers={"content-type": "text/csv"})
    assert answer.status_code == 200
