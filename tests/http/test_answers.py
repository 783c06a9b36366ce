"""Answers that are read slowly, or not at all: whole for who reads, bounded for who does not."""

from __future__ import annotations

import io
import json
import socket
import time
from collections.abc import Iterator
from contextlib import ExitStack, suppress

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from acceptance.serving import Server, serving
from ai_hub.http.answers import Answers
from watching import COMMAND, eventually, resident

MIB = 1024 * 1024
HEALTH = b"GET /health HTTP/1.1\r\nhost: localhost\r\n\r\n"
IDS = [f"{n:0200}" for n in range(1_000)]
BATCH = json.dumps({"tenant_id": "t", "asset_ids": IDS}).encode()
ASKED = b"POST /ai/features/batch HTTP/1.1\r\nhost: localhost\r\ncontent-length: %d\r\n\r\n%b" % (
    len(BATCH),
    BATCH,
)


class Someone:
    """A reader that took something so many ticks ago."""

    def __init__(self, stalled: int) -> None:
        self.stalled = stalled
        self.left = False

    def abort(self) -> None:
        self.left = True


@given(st.lists(st.tuples(st.integers(0, 5), st.integers(1, 120)), max_size=10))
def test_there_is_room_for_the_next_and_the_slowest_left_for_it(
    asked: list[tuple[int, int]],
) -> None:
    answers = Answers(100)
    there: list[tuple[Someone, int]] = []
    with ExitStack() as stack:
        for stalled, size in asked:
            one = Someone(stalled)
            stack.enter_context(answers.held(one, size))
            gone = [someone for someone, _ in there if someone.left]
            there = [(someone, held) for someone, held in there if not someone.left]
            for someone in gone:
                assert all(someone.stalled >= other.stalled for other, _ in there)
            assert not one.left
            assert not there or size + sum(held for _, held in there) <= 100
            there.append((one, size))
            assert answers.total == sum(held for _, held in there)
    assert answers.total == 0


@pytest.fixture(scope="module")
def quick(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server that leaves who does not read after a while."""
    how = {"database_url": "duckdb:///:memory:", "body_timeout": "4s"}
    with serving(COMMAND, tmp_path_factory.mktemp("quick"), **how) as server:
        yield server


def connect(server: Server, stack: ExitStack) -> socket.socket:
    """A client that hardly takes anything by itself."""
    found = stack.enter_context(socket.socket())
    found.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4_096)
    found.settimeout(20)
    found.connect(("127.0.0.1", server.port))
    return found


def test_who_reads_slowly_gets_all(server: Server) -> None:
    whole = server.client.post("/ai/features/batch", content=BATCH).json()
    with ExitStack() as stack:
        client = connect(server, stack)
        client.sendall(ASKED + HEALTH)
        got = b""
        while not got.endswith(b'"granularity":"1m"}'):
            part = client.recv(50_000)
            assert part
            got += part
            time.sleep(0.002)
    head, _, rest = got.partition(b"\r\n\r\n")
    length = int(head.partition(b"content-length: ")[2].split(b"\r\n")[0])
    found = json.loads(rest[:length])
    assert found["results"].keys() == whole["results"].keys()
    assert rest[length:].startswith(b"HTTP/1.1 200 ")


@pytest.mark.long
def test_answers_nobody_reads_are_bounded_and_left(quick: Server) -> None:
    for _ in range(3):
        quick.client.post("/ai/features/batch", content=BATCH)
    with ExitStack() as stack:
        clients = [connect(quick, stack) for _ in range(300)]
        for client in clients:
            # What the system holds by itself is less than ten of them.
            client.setblocking(False)
            with suppress(BlockingIOError):
                client.send(ASKED * 20)
        for _ in range(20):
            assert quick.client.get("/health").status_code == 200
            assert resident(quick) < 950 * MIB
            time.sleep(0.1)
        assert quick.client.post("/ai/features/batch", content=BATCH).status_code == 200

        def all_left() -> bool:
            for client in clients:
                with suppress(BlockingIOError, ConnectionError):
                    client.send(b"x")
                    return False
            return True

        eventually(all_left)


def spine(rows: int) -> bytes:
    """A request for a training set of so many rows."""
    sink = io.BytesIO()
    table = pa.table({
        "timestamp": pa.array(np.arange(rows) * 60_000_000, pa.timestamp("us", "UTC")),
        "asset_id": pa.array(["a"] * rows).dictionary_encode(),
    })  # fmt: skip
    with pa.ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table)
    head = "POST /ai/features/training-set?tenant_id=t&feature_set=forecast_advanced HTTP/1.1\r\n"
    head += "host: localhost\r\ncontent-type: application/vnd.apache.arrow.stream\r\n"
    head += f"content-length: {sink.tell()}\r\n\r\n"
    return head.encode() + sink.getvalue()


def test_training_sets_nobody_reads_are_on_the_disk_and_in_nobodys_way(quick: Server) -> None:
    asked = spine(150_000)

    def whole() -> int:
        with socket.create_connection(("127.0.0.1", quick.port), timeout=30) as client:
            client.sendall(asked)
            got = client.recv(65_536)
            assert got.startswith(b"HTTP/1.1 200 ")
            head, _, rest = got.partition(b"\r\n\r\n")
            length = int(head.lower().partition(b"content-length: ")[2].split(b"\r\n")[0])
            count = len(rest)
            while count < length:
                count += len(client.recv(1 << 20))
        assert count == length
        return length

    assert whole() > 15 * MIB
    before = resident(quick)
    with ExitStack() as stack:
        for _ in range(5):
            connect(quick, stack).sendall(asked)
        # The last of them has its answer, and the turn of the next comes.
        assert whole() > 15 * MIB
        assert resident(quick) - before < 60 * MIB
    assert not list((quick.folder / "exports").iterdir())


def test_requests_in_one_go_are_parsed_as_they_are_answered(quick: Server) -> None:
    many = HEALTH * 20_000
    before = resident(quick)
    with ExitStack() as stack:
        clients = [connect(quick, stack) for _ in range(60)]
        for client in clients:
            client.setblocking(False)
            with suppress(BlockingIOError):
                client.send(many)
        for _ in range(10):
            assert quick.client.get("/health").status_code == 200
            time.sleep(0.1)
        assert resident(quick) - before < 100 * MIB
    with ExitStack() as stack:
        client = stack.enter_context(socket.create_connection(("127.0.0.1", quick.port)))
        client.settimeout(20)
        client.sendall(HEALTH * 3_000 + HEALTH[:-2] + b"connection: close\r\n\r\n")
        got = b"".join(iter(lambda: client.recv(65_536), b""))
        assert got.count(b"HTTP/1.1 200 OK\r\n") == 3_001
