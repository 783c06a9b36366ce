"""Connections that are used badly: heads, bodies and pauses beyond their bounds, and the end."""

from __future__ import annotations

import asyncio
import json
import signal
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest

from acceptance.serving import Server, serving
from ai_hub.config import Settings
from ai_hub.http.body import Receive, Scope, Send
from ai_hub.http.clients import Clients
from ai_hub.http.connection import Connection
from watching import COMMAND, eventually, log, resident

BODY = json.dumps({"tenant_id": "t", "asset_id": "a", "feature_names": ["hour_of_day"]}).encode()
HEALTH = b"GET /health HTTP/1.1\r\nhost: localhost\r\n\r\n"
POST = b"POST /ai/features/get HTTP/1.1\r\nhost: localhost\r\n"
WHOLE = POST + b"content-length: %d\r\n\r\n" % len(BODY) + BODY
CHUNKED = POST + b"transfer-encoding: chunked\r\n\r\n"
MIB = 1024 * 1024


@pytest.fixture(scope="module")
def quick(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server with little patience."""
    patience = {"head_timeout": "500ms", "body_timeout": "2s", "keep_alive": "4s"}
    with serving(
        COMMAND, tmp_path_factory.mktemp("quick"), database_url="duckdb:///:memory:", **patience
    ) as server:
        yield server


@contextmanager
def connected(server: Server) -> Iterator[socket.socket]:
    with socket.create_connection(("127.0.0.1", server.port), timeout=120) as connection:
        yield connection


def heads(answer: bytes) -> list[bytes]:
    return [part[:3] for part in answer.split(b"HTTP/1.1 ")[1:]]


def problem(answer: bytes) -> Any:
    head, _, body = answer.partition(b"\r\n\r\n")
    assert b"content-type: application/json\r\n" in head + b"\r\n"
    found = json.loads(body)
    assert found.keys() == {"detail", "field"}
    return found


def one_answer(connection: socket.socket) -> bytes:
    """Up to the end of a body whose length is said."""
    got = b""
    while b"\r\n\r\n" not in got:
        part = connection.recv(65_536)
        assert part, got
        got += part
    head, _, body = got.partition(b"\r\n\r\n")
    length = int(head.partition(b"content-length: ")[2].split(b"\r\n")[0])
    while len(body) < length:
        body += connection.recv(65_536)
    return head + b"\r\n\r\n" + body


def rest(connection: socket.socket) -> bytes:
    return b"".join(iter(lambda: connection.recv(65_536), b""))


# The head.


@pytest.mark.parametrize(
    ("first", "unit"),
    [
        (b"GET /health HTTP/1.1\r\nhost: localhost\r\nx: ", b"a" * 65_536),
        (b"GET /health HTTP/1.1\r\nhost: localhost\r\n", b"x-1: a\r\n" * 8_000),
        (b"GET /", b"a" * 65_536),
    ],
    ids=["one header", "many headers", "target"],
)
def test_an_endless_head_is_431(server: Server, first: bytes, unit: bytes) -> None:
    before = resident(server)
    sent = 0
    with connected(server) as connection, suppress(ConnectionError):
        connection.sendall(first)
        while sent < 20 * MIB:
            connection.sendall(unit)
            sent += len(unit)
    # What the systems on both sides hold is more than what was read.
    assert sent < 16 * MIB
    assert resident(server) - before < 20 * MIB
    with connected(server) as connection:
        connection.sendall(first + unit + unit)
        assert b" 431 " in connection.recv(65_536)[:20]


def test_a_head_at_the_limit_is_taken_and_one_byte_more_is_not(server: Server) -> None:
    begin = b"GET /health HTTP/1.1\r\nhost: localhost\r\nx: "
    # The target and, of each header, its name, its value and four bytes more.
    taken = 64 * 1024 - len("/health") - len("host") - len("localhost") - 4 - len("x") - 4
    for more, status in ((0, b"200"), (1, b"431")):
        sent = begin + b"a" * (taken + more) + b"\r\nconnection: close\r\n\r\n"
        if more == 0:
            sent = begin + b"a" * taken + b"\r\n\r\n"
        with connected(server) as connection:
            connection.sendall(sent)
            assert heads(one_answer(connection)) == [status]
    assert "AI_HUB_MAX_HEAD" in problem(server.raw(begin + b"a" * 70_000 + b"\r\n\r\n"))["detail"]


def test_a_refusal_comes_after_the_answers_to_what_was_asked_before(server: Server) -> None:
    answer = server.raw(WHOLE * 3 + b"\x00\xff" * 50)
    assert heads(answer) == [b"200"] * 3 + [b"400"]


def test_trailers_are_dropped_and_endless_framing_is_refused(server: Server) -> None:
    size = b"%x\r\n" % len(BODY)
    whole = CHUNKED + size + BODY + b"\r\n0\r\ncontent-encoding: gzip\r\n\r\n"
    with connected(server) as connection:
        connection.sendall(whole)
        assert heads(one_answer(connection)) == [b"200"]
    for begin, unit in (
        (b"0\r\n", b"x-1: a\r\n" * 5_000),
        (b"5;", b"a" * 65_536),
        (b"", b"1\r\na\r\n" * 20_000),
    ):
        before, sent = resident(server), 0
        with connected(server) as connection, suppress(ConnectionError):
            connection.sendall(CHUNKED + begin)
            while sent < 20 * MIB:
                connection.sendall(unit)
                sent += len(unit)
        assert sent < 16 * MIB
        assert resident(server) - before < 20 * MIB


# Time.


def test_a_slow_head_is_408(quick: Server) -> None:
    begin = time.monotonic()
    with connected(quick) as connection:
        for byte in b"GET /health HTTP/1.1\r\nx: aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa":
            with suppress(ConnectionError):
                connection.sendall(bytes([byte]))
            time.sleep(0.02)
        answer = rest(connection)
    assert heads(answer) == [b"408"]
    assert "in time" in problem(answer)["detail"]
    assert time.monotonic() - begin < 30


def test_a_silent_body_is_408_and_a_slow_one_is_taken(quick: Server) -> None:
    head, body = WHOLE[: -len(BODY)], BODY
    with connected(quick) as connection:
        connection.sendall(head + body[:5])
        answer = rest(connection)
        assert heads(answer) == [b"408"]
    with connected(quick) as connection:
        connection.sendall(head)
        for place in range(0, len(body), 20):
            time.sleep(0.6)
            connection.sendall(body[place : place + 20])
        assert heads(one_answer(connection)) == [b"200"]


def test_an_idle_connection_is_kept_for_a_while(quick: Server) -> None:
    for sent in (b"", HEALTH):
        with connected(quick) as connection:
            if sent:
                connection.sendall(sent)
                one_answer(connection)
                time.sleep(0.9)
                connection.sendall(sent)
                one_answer(connection)
            begin = time.monotonic()
            assert rest(connection) == b""
            assert 2 < time.monotonic() - begin < 60


def test_an_answer_nobody_reads_is_given_up(quick: Server) -> None:
    assets = [f"a{n}" for n in range(1_000)]
    body = json.dumps({"tenant_id": "t", "asset_ids": assets}).encode()
    head = b"POST /ai/features/batch HTTP/1.1\r\nhost: localhost\r\ncontent-length: %d\r\n\r\n"
    until = time.monotonic() + 120
    ended = False
    with connected(quick) as connection:
        connection.settimeout(0.2)
        while not ended:
            assert time.monotonic() < until
            try:
                connection.sendall(head % len(body) + body)
            except TimeoutError:
                pass
            except ConnectionError:
                ended = True


# Upgrades and methods.


@pytest.mark.parametrize("upgrade", [b"h2c", b"foo"])
@pytest.mark.parametrize("chunked", [False, True])
@pytest.mark.parametrize("apart", [False, True])
def test_an_offer_to_upgrade_keeps_its_body(
    server: Server, upgrade: bytes, chunked: bool, apart: bool
) -> None:
    offer = b"connection: Upgrade, HTTP2-Settings\r\nhttp2-settings: AAMAAABk\r\nupgrade: "
    length = b"transfer-encoding: chunked" if chunked else b"content-length: %d" % len(BODY)
    body = b"%x\r\n%b\r\n0\r\n\r\n" % (len(BODY), BODY) if chunked else BODY
    head = POST + offer + upgrade + b"\r\n" + length + b"\r\n\r\n"
    with connected(server) as connection:
        connection.sendall(head)
        if apart:
            time.sleep(0.05)
        connection.sendall(body + HEALTH)
        first = one_answer(connection)
        assert heads(first)[0] == b"200"
        if len(heads(first)) == 1:
            assert heads(one_answer(connection)) == [b"200"]


@pytest.mark.parametrize("offer", [b"WebSocket", b"h2c, websocket", b"websocket/13, h2c"])
def test_a_websocket_is_refused(server: Server, offer: bytes) -> None:
    sent = HEALTH[:-2] + b"connection: keep-alive, Upgrade\r\nupgrade: " + offer + b"\r\n\r\n"
    found = problem(server.raw(sent))
    assert found["field"] == "upgrade"


@pytest.mark.parametrize(
    "coding",
    [
        b"gzip, chunked",
        b"x, chunked",
        b"gzip,deflate , chunked",
        b"gzip\r\ntransfer-encoding: chunked",
    ],
)
def test_a_body_in_another_coding_is_refused(server: Server, coding: bytes) -> None:
    """Taken as it is it would be other bytes than a proxy in front saw."""
    body = b"%x\r\n%b\r\n0\r\n\r\n" % (len(BODY), BODY)
    found = problem(server.raw(POST + b"transfer-encoding: " + coding + b"\r\n\r\n" + body))
    assert found["field"] == "transfer-encoding"


@pytest.mark.parametrize(
    "path", ["/health", "/health/ready", "/metrics", "/ai/features/sets", "/docs/openapi.json"]
)
def test_head_is_get_without_the_body(server: Server, path: str) -> None:
    answer = server.client.get(path)
    head = server.client.head(path)
    assert (head.status_code, head.content) == (answer.status_code, b"")
    assert head.headers["content-type"] == answer.headers["content-type"]
    if path != "/metrics":
        assert head.headers["content-length"] == answer.headers["content-length"]
    assert server.client.head("/ai/features/get").status_code == 405
    assert server.client.head("/nope").status_code == 404


def test_a_client_that_waits_to_be_told_is_told(server: Server) -> None:
    head = WHOLE[: -len(BODY) - 2] + b"expect: 100-continue\r\n\r\n"
    with connected(server) as connection:
        connection.sendall(head)
        assert connection.recv(100) == b"HTTP/1.1 100 Continue\r\n\r\n"
        connection.sendall(BODY)
        assert heads(one_answer(connection)) == [b"200"]
    # One whose body is refused is not.
    with connected(server) as connection:
        connection.sendall(head.replace(b"content-length: ", b"content-length: 99999999"))
        assert connection.recv(1_000).startswith(b"HTTP/1.1 413 ")


# Refusals.


@pytest.mark.parametrize("chunked", [False, True])
def test_a_refusal_is_seen_by_who_sends_on_for_a_while(small: Server, chunked: bool) -> None:
    size = 900_000
    length = b"transfer-encoding: chunked" if chunked else b"content-length: %d" % size
    with connected(small) as connection:
        connection.sendall(POST + length + b"\r\n\r\n")
        for _ in range(size // 60_000):
            part = b" " * 60_000
            connection.sendall(b"%x\r\n%b\r\n" % (len(part), part) if chunked else part)
        answer = rest(connection)
    assert heads(answer) == [b"413"]
    assert b"connection: close\r\n" in answer


def test_a_large_body_that_is_refused_keeps_nobody_waiting(small: Server) -> None:
    size = 16 * MIB
    head = POST + b"content-length: %d\r\n\r\n" % size
    for _ in range(5):
        # Either all of it is taken or the connection ends; a wait would be a TimeoutError.
        with connected(small) as connection, suppress(ConnectionError):
            connection.settimeout(60)
            connection.sendall(head + b" " * size)


# The end.


@pytest.mark.parametrize(
    "number",
    [
        signal.SIGTERM,
        *(pytest.param(one, marks=pytest.mark.long)
          for one in (signal.SIGHUP, signal.SIGINT, signal.SIGQUIT)),
    ],
)  # fmt: skip
def test_every_signal_drains(tmp_path: Path, number: signal.Signals) -> None:
    with serving(COMMAND, tmp_path, database_url="duckdb:///:memory:") as server:
        eventually(lambda: log(server, "serving"))
        with connected(server) as waiting, connected(server) as stuck, connected(server) as idle:
            waiting.sendall(WHOLE[:-5])
            stuck.sendall(WHOLE[:-5])
            idle.sendall(HEALTH)
            one_answer(idle)
            time.sleep(0.2)
            begin = time.monotonic()
            server.process.send_signal(number)
            assert rest(idle) == b""
            waiting.sendall(WHOLE[-5:])
            answer = rest(waiting)
            assert heads(answer) == [b"200"]
            assert b"connection: close\r\n" in answer
            # An upload that does not go on does not hold it up.
            code = 130 if number is signal.SIGINT else 0
            assert server.process.wait(120) == code
            assert time.monotonic() - begin < 28  # a silent body has 30 seconds
            assert heads(rest(stuck)) == [b"408"]
        assert len(log(server, "stopped")) == 1


def test_the_end_of_a_terminal_means_nothing_under_nohup(tmp_path: Path) -> None:
    with serving(("nohup", *COMMAND), tmp_path, database_url="duckdb:///:memory:") as server:
        eventually(lambda: log(server, "serving"))
        server.process.send_signal(signal.SIGHUP)
        time.sleep(0.3)
        assert server.client.get("/health").status_code == 200


def test_many_who_do_nothing_right_harm_nobody(quick: Server) -> None:
    stop = threading.Event()

    def misuse() -> None:
        while not stop.is_set():
            for sent in (b"GET /", WHOLE[:-3], b"\xff" * 10, CHUNKED + b"zz\r\n", WHOLE):
                with suppress(OSError), connected(quick) as connection:
                    connection.sendall(sent)
                    reset = b"\1" + b"\0" * 7
                    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, reset)

    threads = [threading.Thread(target=misuse) for _ in range(4)]
    for one in threads:
        one.start()
    try:
        for _ in range(100):
            assert quick.client.get("/health").status_code == 200
            time.sleep(0.01)
    finally:
        stop.set()
        for one in threads:
            one.join()


class Broken:
    """An application whose answers go wrong in the middle."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        headers = [(b"content-length", b"10")]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": b"12345", "more_body": True})
        match scope["path"]:
            case "/raise":
                raise ValueError("in the middle")
            case "/again":
                await send({"type": "http.response.start", "status": 500, "headers": headers})
            case "/long":
                await send({"type": "http.response.body", "body": b"1234567"})
            case "/short":
                await send({"type": "http.response.body", "body": b"1"})


@pytest.mark.parametrize("path", ["/raise", "/again", "/long", "/short", "/stop"])
async def test_a_fault_after_an_answer_began_ends_the_connection(path: str) -> None:
    loop = asyncio.get_running_loop()
    clients = Clients(Broken(Settings()), Settings())
    server = await loop.create_server(lambda: Connection(clients), "127.0.0.1", 0)
    async with server:
        port = server.sockets[0].getsockname()[1]
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(f"GET {path} HTTP/1.1\r\nhost: localhost\r\n\r\n".encode() * 2)
        got = b""
        with suppress(ConnectionError):
            while part := await reader.read(1_000):
                got += part
        assert got.count(b"HTTP/1.1") <= 1
        assert not got.endswith(b"1234567")
        writer.close()


def test_connections_that_are_gone_leave_nothing(server: Server) -> None:
    sent = b"GET /health HTTP/1.1\r\nhost: localhost\r\n" + b"x-1: a\r\n" * 8_000
    before = resident(server)
    for _ in range(300):
        with suppress(ConnectionError), connected(server) as connection:
            connection.sendall(sent)
            connection.recv(1_000)
    assert resident(server) - before < 30 * MIB
