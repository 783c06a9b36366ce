"""Turns: so many exports at a time, so many that wait, and no more."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from ai_hub.errors import Busy, StoreUnavailable


class Turns:
    """`jobs` at a time in the order in which they came, while at most `queue` others wait."""

    def __init__(self, jobs: int, queue: int) -> None:
        self._jobs = jobs
        self._queue = queue
        self._free = asyncio.Semaphore(jobs)
        self._waiting = 0
        self._closed = False

    @asynccontextmanager
    async def turn(self) -> AsyncIterator[None]:
        """Wait for a turn, and have it. Raises Busy if too many wait already."""
        if self._free.locked() and self._waiting >= self._queue:
            raise Busy(
                f"exports: {self._jobs} are under way and {self._waiting} wait for their turn "
                "(AI_HUB_EXPORT_JOBS, AI_HUB_EXPORT_QUEUE)"
            )
        self._waiting += 1
        try:
            await self._free.acquire()
        finally:
            self._waiting -= 1
        try:
            if self._closed:
                raise StoreUnavailable("the feature store is closed")
            yield
        finally:
            self._free.release()

    async def close(self) -> None:
        """Give no other turn, and wait for the end of those that there are."""
        self._closed = True
        for _ in range(self._jobs):
            await self._free.acquire()
        for _ in range(self._jobs):
            self._free.release()
