"""One connection: replies in their order, however they come, and an end that nobody misses."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import pytest

from ai_hub.serving.redis.link import Link, Lost
from ai_hub.serving.redis.words import pack

PROBE = pack(("GETEX", "key", "EX", 1))

Answer = Callable[[bytes, asyncio.StreamWriter], None]


@asynccontextmanager
async def linked(answer: Answer, within: float = 5.0) -> AsyncIterator[tuple[Link, list[str]]]:
    """A link to a server that does `answer` with whatever it is sent, and why it was lost."""

    async def meet(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while data := await reader.read(1 << 20):
                answer(data, writer)
        finally:
            writer.transport.abort()
            gone.set()

    gone = asyncio.Event()
    server = await asyncio.start_server(meet, "127.0.0.1", 0)
    reasons: list[str] = []
    _, writer = await asyncio.open_connection(*server.sockets[0].getsockname())
    link = Link(writer, within, PROBE, reasons.append)
    try:
        yield link, reasons
    finally:
        await link.close()
        await gone.wait()
        server.close()


def saying(reply: bytes) -> Answer:
    return lambda _, writer: writer.write(reply)


def counting(data: bytes, writer: asyncio.StreamWriter) -> None:
    """To `PING` and its number, the number."""
    for line in data.split(b"PING\r\n")[1:]:
        number = line.split(b"\r\n")[1]
        writer.write(b"$%d\r\n%b\r\n" % (len(number), number))


def ping(number: int) -> bytes:
    return pack(("PING", number))


async def test_replies_come_to_those_who_asked() -> None:
    async with linked(counting) as (link, _):
        asked = [link.ask(b"".join(ping(10 * n + i) for i in range(n)), n) for n in range(1, 9)]
        for n, got in enumerate(await asyncio.gather(*asked), start=1):
            assert got == [b"%d" % (10 * n + i) for i in range(n)]


async def test_many_replies_in_pieces_are_put_together() -> None:
    async def trickle(data: bytes, writer: asyncio.StreamWriter) -> None:
        for start in range(0, len(data), 7_001):
            writer.write(data[start : start + 7_001])
            await asyncio.sleep(0)

    replies = b"".join(b"$%d\r\n%b\r\n" % (n, b"x" * n) for n in range(400))
    tasks = []

    def answer(_: bytes, writer: asyncio.StreamWriter) -> None:
        tasks.append(asyncio.create_task(trickle(replies, writer)))

    async with linked(answer) as (link, _):
        assert [len(one) for one in await link.ask(PROBE, 400)] == [*range(400)]


async def test_errors_are_values() -> None:
    async with linked(saying(b"-OOM no memory\r\n:1\r\n")) as (link, _):
        error, one = await link.ask(PROBE, 2)
        assert str(error) == "OOM no memory"
        assert one == 1


@pytest.mark.parametrize(
    ("reply", "reason"),
    [
        (b"HTTP/1.1 400 Bad Request\r\n\r\n", "it speaks another protocol"),
        (b"\x00\x01\x02", "it speaks another protocol"),
        (b":1\r\n:2\r\n:3\r\n", "it answered what nobody asked"),
        (b"$50\r\nab", "no answer within 100 ms"),
        (b"", "no answer within 100 ms"),
    ],
)
async def test_what_is_no_answer_is_a_loss(reply: bytes, reason: str) -> None:
    async with linked(saying(reply), within=0.1) as (link, reasons):
        asked = [link.ask(PROBE, 1), link.ask(PROBE, 1)]
        done = await asyncio.wait_for(asyncio.gather(*asked, return_exceptions=True), 2)
        assert isinstance(done[1], Lost) or reason == "it answered what nobody asked"
        await asyncio.sleep(0.05)
        with pytest.raises(Lost, match=reason):
            link.ask(PROBE, 1)
    assert len(reasons) == 1
    assert reason in reasons[0]


async def test_the_end_of_the_connection_is_noticed_by_who_waits() -> None:
    async with linked(lambda _, writer: writer.transport.abort()) as (link, reasons):
        with pytest.raises(Lost):
            await link.ask(PROBE, 1)
    assert len(reasons) == 1


async def test_a_reply_that_is_on_its_way_is_no_silence() -> None:
    async def trickle(writer: asyncio.StreamWriter, pieces: int) -> None:
        writer.write(b"$%d\r\n" % pieces)
        for _ in range(pieces):
            await asyncio.sleep(0.03)
            writer.write(b"x")
        writer.write(b"\r\n")

    tasks = []

    def saying_slowly(pieces: int) -> Answer:
        def answer(_: bytes, writer: asyncio.StreamWriter) -> None:
            if not tasks:
                tasks.append(asyncio.create_task(trickle(writer, pieces)))

        return answer

    async with linked(saying_slowly(8), within=0.1) as (link, reasons):
        assert await link.ask(PROBE, 1) == [b"x" * 8]
        assert reasons == []
    tasks.clear()
    async with linked(saying_slowly(1_000), within=0.1) as (link, reasons):
        with pytest.raises(Lost, match="no answer within 100 ms"):
            await link.ask(PROBE, 1)
        tasks[0].cancel()


async def test_time_in_which_this_process_stands_still_is_no_silence() -> None:
    def answer(data: bytes, writer: asyncio.StreamWriter) -> None:
        writer.write(b":7\r\n" * data.count(b"GETEX"))

    async with linked(answer, within=0.1) as (link, reasons):
        for _ in range(3):
            asked = link.ask(PROBE, 1)
            time.sleep(0.3)  # noqa: ASYNC251
            assert await asked == [7]
        await asyncio.sleep(0.2)
        assert reasons == []


async def test_an_idle_connection_is_looked_after() -> None:
    for reply, reason in ((b"", "no answer within"), (b"-READONLY a replica\r\n", "READONLY")):
        async with linked(saying(reply), within=0.05) as (_, reasons):
            await lost(reasons)
            assert reason in reasons[0]
    for expected in (None, 7):
        async with linked(saying(b":7\r\n"), within=0.05) as (link, reasons):
            link.expected = expected
            await asyncio.sleep(0.3)
            assert reasons == []
    async with linked(saying(b":7\r\n"), within=0.05) as (link, reasons):
        link.expected = 8
        await lost(reasons)
    assert len(reasons) == 1


async def lost(reasons: list[str]) -> None:
    """Until it is."""
    async with asyncio.timeout(5):
        while not reasons:  # noqa: ASYNC110
            await asyncio.sleep(0.01)


async def test_an_end_on_purpose_is_no_loss() -> None:
    async with linked(saying(b"")) as (link, reasons):
        waiting = link.ask(PROBE, 1)
        await link.close()
        with pytest.raises(Lost, match="closed"):
            await waiting
    assert reasons == []
