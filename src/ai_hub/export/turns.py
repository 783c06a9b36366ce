"""Turns: so many exports at a time, so many that wait, and no more."""

from __future__ import annotations

import asyncio
from collections import deque

from ai_hub.errors import Busy, StoreUnavailable


class Turns:
    """`jobs` at a time in the order in which they came, while at most `queue` others wait."""

    def __init__(self, jobs: int, queue: int) -> None:
        self._jobs = jobs
        self._queue = queue
        self._under_way = 0
        self._waiting: deque[asyncio.Future[None]] = deque()
        self._idle = asyncio.Event()
        self._idle.set()
        self._closed = False

    @property
    def free(self) -> int:
        """How many could begin at once."""
        return 0 if self._waiting or self._closed else self._jobs - self._under_way

    def turn(self) -> Turn:
        """A turn, or a place among those that wait for one, until it is left; to be had with
        `async with`. Raises Busy if too many wait already."""
        if self._closed:
            raise StoreUnavailable("the feature store is closed")
        if self.free:
            self._under_way += 1
            self._idle.clear()
            return Turn(self, None)
        if len(self._waiting) >= self._queue:
            raise Busy(
                f"exports: {self._jobs} are under way and {len(self._waiting)} wait for their turn "
                "(AI_HUB_EXPORT_JOBS, AI_HUB_EXPORT_QUEUE)"
            )
        comes = asyncio.get_running_loop().create_future()
        self._waiting.append(comes)
        return Turn(self, comes)

    def leave(self, comes: asyncio.Future[None] | None) -> None:
        """Give a turn to the next one, or a place in the queue back."""
        if comes is not None and comes in self._waiting:
            self._waiting.remove(comes)
            return
        if self._waiting:
            self._waiting.popleft().set_result(None)
            return
        self._under_way -= 1
        if not self._under_way:
            self._idle.set()

    async def close(self) -> None:
        """Give no other turn, and wait for the end of those that there are."""
        self._closed = True
        while self._waiting:
            comes = self._waiting.popleft()
            comes.set_exception(StoreUnavailable("the feature store is closed"))
        await self._idle.wait()


class Turn:
    """The turn of one export, or its place among those that wait."""

    def __init__(self, turns: Turns, comes: asyncio.Future[None] | None) -> None:
        self._turns = turns
        self._comes = comes
        self._left = False

    @property
    def waits(self) -> bool:
        """Whether it has to wait."""
        return self._comes is not None and not self._comes.done()

    def leave(self) -> None:
        """It ended, or does not want its turn any more."""
        if not self._left:
            self._left = True
            comes = self._comes
            if comes is None or not comes.done() or comes.exception() is None:
                self._turns.leave(comes)

    async def __aenter__(self) -> None:
        try:
            if self._comes is not None:
                # Who is cancelled meanwhile may have it already: it is given on then.
                await asyncio.shield(self._comes)
        except BaseException:
            self.leave()
            raise

    async def __aexit__(self, *_: object) -> None:
        self.leave()
