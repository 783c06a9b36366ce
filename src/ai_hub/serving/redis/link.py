"""One connection to Redis: what is asked in one turn of the event loop leaves in one write."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from itertools import islice
from typing import Any, NamedTuple

import hiredis
from hiredis import ReplyError

_NOT_YET = object()
_LOOKS = 4
"""How often the clock is looked at within the timeout."""
_SLOWEST = 10
# After every few replies hiredis moves what it was fed besides to the front of its buffer.
_SLICE = 8192
# As much is sent at once: Redis works on it while the others of this turn are asked.
_MUCH = 8192


class Lost(Exception):
    """The connection is no more: closed, unanswered for too long, or answering nonsense."""


class _Asked(NamedTuple):
    future: asyncio.Future[list[Any]]
    replies: int
    at: float


class Link(asyncio.Protocol):
    """Commands out, replies in, in their order, for many callers at once.

    The connection counts as lost when the server owes a reply and says nothing for `timeout`
    seconds, or has not said it all after ten times as many. Time in which this process itself stood
    still does not count. `probe` is sent that often, so that a loss is noticed in at most twice
    that time; it is one also when the reply is an error, or not the `expected` one. `on_lost` is
    called once, with the reason, unless it was `close` that ended it.
    """

    def __init__(
        self,
        writer: asyncio.StreamWriter,
        timeout: float,
        probe: bytes,
        on_lost: Callable[[str], None],
    ) -> None:
        self.expected: object = None
        self._loop = asyncio.get_running_loop()
        # Kept, as a stream that is collected closes its transport.
        self._writer = writer
        self._transport = writer.transport
        self._transport.set_protocol(self)
        self._timeout = timeout
        self._on_lost = on_lost
        self._reader = hiredis.Reader(notEnoughData=_NOT_YET)
        self._queue: list[bytes] = []
        self._queued = 0
        self._waiting: deque[_Asked] = deque()
        self._got: list[Any] = []
        # A clock that stops while this process stands still, and when it heard of the server last.
        self._stood_still = 0.0
        self._heard = 0.0
        self._due = self._loop.time() + timeout / _LOOKS
        self._probe_at = self._loop.time() + timeout
        self._gone = ""
        self._ended = asyncio.Event()
        self._probe = probe
        self._probing: asyncio.Future[list[Any]] | None = None
        self._timer = self._loop.call_at(self._due, self._tick)

    def ask(self, commands: bytes, replies: int) -> asyncio.Future[list[Any]]:
        """The replies of packed commands, errors among them as values. Raises Lost."""
        if self._gone:
            raise Lost(self._gone)
        if not self._queue:
            self._loop.call_soon(self._flush)
        self._queue.append(commands)
        self._queued += len(commands)
        now = self._loop.time() - self._stood_still
        asked = _Asked(self._loop.create_future(), replies, now)
        self._waiting.append(asked)
        if self._queued > _MUCH:
            self._flush()
        return asked.future

    def lose(self, reason: str) -> None:
        """Give the connection up; who waits for a reply gets Lost."""
        if not self._gone:
            self._end(reason)
            self._on_lost(reason)

    async def close(self) -> None:
        """End the connection on purpose, and wait for its end."""
        if not self._gone:
            self._end("it was closed")
        await self._ended.wait()

    def data_received(self, data: bytes) -> None:
        """Called with bytes of the server."""
        self._heard = self._loop.time() - self._stood_still
        try:
            for start in range(0, len(data), _SLICE):
                self._reader.feed(data, start, min(_SLICE, len(data) - start))
                self._take()
        except hiredis.HiredisError as error:
            self.lose(f"it speaks another protocol: {error}")

    def connection_lost(self, exc: Exception | None) -> None:
        """Called when the connection is closed."""
        self._ended.set()
        self.lose("the connection was closed" if exc is None else f"{exc}")

    def _take(self) -> None:
        """Hand out the replies that are there."""
        replies = iter(self._reader.gets, _NOT_YET)
        waiting = self._waiting
        while waiting:
            oldest = waiting[0]
            self._got += islice(replies, oldest.replies - len(self._got))
            if len(self._got) < oldest.replies:
                return
            got, self._got = self._got, []
            waiting.popleft()
            if not oldest.future.done():
                oldest.future.set_result(got)
        if next(replies, _NOT_YET) is not _NOT_YET:
            self.lose("it answered what nobody asked")

    def _flush(self) -> None:
        queue, self._queue, self._queued = self._queue, [], 0
        if queue and not self._gone:
            self._transport.write(b"".join(queue))

    def _tick(self) -> None:
        """Look whether the server is silent for too long; send a probe now and then."""
        now, step = self._loop.time(), self._timeout / _LOOKS
        if now - self._due > step:
            # What the server said meanwhile is in the socket, and read after this.
            self._stood_still += now - self._due
        if self._waiting:
            clock, asked = now - self._stood_still, self._waiting[0].at
            silent, late = clock - max(asked, self._heard), clock - asked
            if silent > self._timeout or late > _SLOWEST * self._timeout:
                self.lose(f"no answer within {self._timeout * 1e3:.0f} ms")
                return
        if now >= self._probe_at and (self._probing is None or self._probing.done()):
            self._probe_at = now + self._timeout
            self._probing = self.ask(self._probe, 1)
            self._probing.add_done_callback(self._probed)
        self._due = now + step
        self._timer = self._loop.call_at(self._due, self._tick)

    def _probed(self, probing: asyncio.Future[list[Any]]) -> None:
        if probing.exception() is not None:
            return
        (reply,) = probing.result()
        if isinstance(reply, ReplyError):
            self.lose(str(reply))
        elif self.expected is not None and reply != self.expected:
            self.lose("what it holds does not count any more")

    def _end(self, reason: str) -> None:
        self._gone = reason
        self._timer.cancel()
        self._transport.abort()
        for asked in self._waiting:
            if not asked.future.done():
                asked.future.set_exception(Lost(reason))
                asked.future.exception()  # Seen here, for the case that nobody waits any more.
        self._waiting.clear()
