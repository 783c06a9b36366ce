"""One request and its answer, in ASGI's words."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Iterable
from contextlib import AbstractContextManager, nullcontext
from functools import lru_cache
from http import HTTPStatus
from typing import Protocol
from urllib.parse import unquote

import httptools

from ai_hub.http.body import Message, Scope, has_room

_STATUS_LINES = {one.value: f"HTTP/1.1 {one.value} {one.phrase}\r\n".encode() for one in HTTPStatus}
_PIECE = 64 * 1024
"""Bytes of an answer that are sent at once, whether the client reads or not."""
_READ = 1024 * 1024
"""Bytes that are read of a file at once."""
_MOST_DROPPED = 1024 * 1024
_DROPPED_PER_SECOND = 50_000_000
_MOST_DIGITS = 18
FILE = "http.response.zerocopysend"
"""The message that a file is the body, from its first byte on: ASGI's extension of that name."""
_GOES_ON = b"HTTP/1.1 100 Continue\r\n\r\n"


class Line(Protocol):
    """What an exchange needs of its connection."""

    date: bytes
    """The line of an answer's head that says the time."""
    writable: asyncio.Future[None] | None
    """Done once the client has read enough; None while it does."""

    def write(self, data: bytes | memoryview) -> None:
        """Send bytes to the client."""

    def holding(self, size: int) -> AbstractContextManager[None]:
        """Count an answer of so many bytes until the client took it."""

    def holding_file(self, size: int) -> AbstractContextManager[None]:
        """The same of an answer that is a file."""

    def read_on(self) -> None:
        """Read from the client again, if nothing else forbids it."""

    def answered(self, exchange: Exchange) -> None:
        """The whole answer was written."""


class Exchange:
    """A request whose body may still be arriving, and the answer to it.

    `receive` and `send` are for the application; a fault in the order of its messages is a
    RuntimeError.
    """

    __slots__ = (
        "_body", "_left", "_line", "_told", "_waits", "closes", "complete", "expects", "gone",
        "head_only", "more", "scope", "started", "unread",
    )  # fmt: skip

    def __init__(self, line: Line, scope: Scope, closes: bool, expects: bool) -> None:
        self._line = line
        self._body: list[bytes] = []
        self._left = -1
        self._told = False
        self._waits: asyncio.Future[None] | None = None
        self.scope = scope
        self.head_only = scope["method"] == "HEAD"
        self.expects = expects
        """Whether the client wants to be told to send its body."""
        self.closes = closes
        """Whether the connection ends with the answer."""
        self.more = True
        """Whether more of the body is to come."""
        self.unread = 0
        """Bytes of the body that the application did not ask for yet."""
        self.gone = False
        """Whether nobody waits for the answer any more."""
        self.started = False
        self.complete = False

    def feed(self, body: bytes) -> None:
        """A part of the body arrived."""
        self._body.append(body)
        self.unread += len(body)
        self.wake()

    def wake(self) -> None:
        """Something changed that the application may wait for."""
        if self._waits is not None and not self._waits.done():
            self._waits.set_result(None)

    async def receive(self) -> Message:
        """The next part of the body; after it, that the client is gone or has its answer."""
        while not (self.gone or self.complete):
            if self._body or not (self.more or self._told):
                body = self._body[0] if len(self._body) == 1 else b"".join(self._body)
                self._body.clear()
                self.unread = 0
                self._told = not self.more
                return {"type": "http.request", "body": body, "more_body": self.more}
            if self.expects and self.more and not self.started:
                self.expects = False
                self._line.write(_GOES_ON)
            self._line.read_on()
            self._waits = asyncio.get_running_loop().create_future()
            await self._waits
        return {"type": "http.disconnect"}

    async def send(self, message: Message) -> None:
        """Send the head of the answer, or a part of its body."""
        if self._line.writable is not None:
            await self._writable()
        if self.gone:
            return
        if message["type"] == "http.response.start":
            self._start(message)
            return
        if message["type"] == FILE:
            await self._send_file(message["file"].fileno(), message["count"])
            return
        await self._send_part(message)

    async def _send_part(self, message: Message) -> None:
        body, more = message.get("body", b""), message.get("more_body", False)
        self._check(body, more)
        if len(body) <= _PIECE or self.head_only:
            if body and not self.head_only:
                self._line.write(body)
            if not more:
                self._complete()
        else:
            await self._send_large(body, more)

    async def _writable(self) -> None:
        """Wait for the client to read."""
        while self._line.writable is not None and not self.gone:
            await asyncio.shield(self._line.writable)

    async def _send_large(self, body: bytes, more: bool) -> None:
        """Send what the client takes, piece by piece, until it took all."""
        # What a large body has room for is counted there.
        counted = nullcontext() if has_room(self.scope) else self._line.holding(len(body))
        with counted:
            for place in range(0, len(body), _PIECE):
                await self._writable()
                if self.gone:
                    return
                self._line.write(memoryview(body)[place : place + _PIECE])
            if not more:
                self._complete()
            await self._writable()

    async def _send_file(self, handle: int, size: int) -> None:
        """Send so many bytes of an open file, which are all of the body."""
        with self._line.holding_file(size):
            for place in range(0, max(size, 1), _READ):
                part = await asyncio.to_thread(os.pread, handle, _READ, place)
                if self.gone:
                    return
                more = place + _READ < size
                await self._send_part({"body": part, "more_body": more})

    def _start(self, message: Message) -> None:
        if self.started:
            raise RuntimeError("a second start of an answer")
        self.started = True
        # Nobody reads the rest of a body that was not waited for, so no request can follow it.
        self.closes = self.closes or self.more
        lines = [_STATUS_LINES[message["status"]], self._line.date]
        for name, value in message["headers"]:
            if name == b"content-length":
                self._left = int(value)
            elif name == b"connection":
                self.closes = self.closes or value == b"close"
                continue
            lines += (name, b": ", value, b"\r\n")
        if self._left < 0 and message["status"] not in (204, 304):
            self.closes = True
        lines.append(b"connection: close\r\n\r\n" if self.closes else b"\r\n")
        self._line.write(b"".join(lines))

    def _check(self, body: bytes, more: bool) -> None:
        if not self.started or self.complete:
            raise RuntimeError("a part of an answer that is not under way")
        if self._left >= 0:
            self._left -= len(body)
            if self._left < 0 or (self._left and not more and not self.head_only):
                raise RuntimeError("an answer of another length than it said")

    def _complete(self) -> None:
        self.complete = True
        self.wake()
        self._line.answered(self)


def target_of(url: bytes) -> tuple[str, bytes, bytes]:
    """Path, the path as it was written, and query of a request's target.

    Raises HttpParserError or UnicodeDecodeError.
    """
    return _short_target(url) if len(url) <= _SHORT else _parsed(url)


def offers_websocket(headers: Iterable[tuple[bytes, bytes]]) -> bool:
    """Whether a websocket is among the protocols that a head offers to go on in."""
    return any(
        one.strip().partition(b"/")[0].lower() == b"websocket"
        for name, value in headers
        if name == b"upgrade"
        for one in value.split(b",")
    )


def most_dropped(headers: Iterable[tuple[bytes, bytes]], most_body: int) -> int:
    """How many bytes are read and dropped behind a refusal: 1 MiB, and a body whose head says that
    it is none of the largest.

    Most clients look at what they were answered when they have sent all of it.
    """
    for name, value in headers:
        if name == b"content-length" and value.isdigit() and len(value) <= _MOST_DIGITS:
            size = int(value)
            return _MOST_DROPPED + (size if size <= most_body else 0)
    return _MOST_DROPPED


def rest(transport: asyncio.Transport, dropped: int) -> None:
    """Read no more for as long as so many bytes may take that were dropped: however fast a client
    sends them, they take little from the others."""

    def read_on() -> None:
        if not transport.is_closing():
            transport.resume_reading()

    transport.pause_reading()
    asyncio.get_running_loop().call_later(dropped / _DROPPED_PER_SECOND, read_on)


def _parsed(url: bytes) -> tuple[str, bytes, bytes]:
    parsed = httptools.parse_url(url)
    raw = parsed.path or b"/"
    path = raw.decode("ascii")
    return unquote(path) if "%" in path else path, raw, parsed.query or b""


_SHORT = 256
_short_target = lru_cache(maxsize=1_024)(_parsed)
