"""Connections that maintain a database side by side, for a limited time."""

from __future__ import annotations

import asyncio
import itertools
import math
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from contextlib import AsyncExitStack, asynccontextmanager
from typing import TypeVar

import asyncpg

from ai_hub.config import Settings
from ai_hub.definitions.values import HOUR, Duration
from ai_hub.stores.postgres.session import Connection, session

_LONGEST = Duration(6 * HOUR)
"""The limit of one statement."""
_SETTINGS = (
    # Unlike other sessions, these read whole chunks.
    "SET enable_seqscan = on",
    "SET plan_cache_mode = force_custom_plan",
    "SET work_mem = '64MB'",
)
# Readers of a chunk, or writers: the database gives way to these.
IN_USE = (
    asyncpg.LockNotAvailableError,
    asyncpg.DeadlockDetectedError,
    asyncpg.SerializationError,
)
_Work = TypeVar("_Work")


class Crew:
    """The connections of one run, and until when they may begin a step."""

    def __init__(self, settings: Settings, within: Duration | None) -> None:
        self.lead: Connection
        self._settings = settings
        self._members: list[Connection] = []
        self.size = 1
        self._stack = AsyncExitStack()
        self._began = time.monotonic()
        self._within = within
        self._until = math.inf
        self._longest = 0.0
        self._stepped = False

    @classmethod
    @asynccontextmanager
    async def open(
        cls, settings: Settings, size: int, within: Duration | None
    ) -> AsyncIterator[Crew]:
        """`size` connections, the first of which is there at once. Raises StoreError."""
        crew = cls(settings, within)
        async with crew._stack:
            crew.lead = await crew._stack.enter_async_context(crew._session())
            crew._members, crew.size = [crew.lead], size
            yield crew

    @asynccontextmanager
    async def _session(self) -> AsyncIterator[Connection]:
        async with session(self._settings, _LONGEST) as connection:
            for one in _SETTINGS:
                await connection.execute(one)
            yield connection

    async def _all(self) -> list[Connection]:
        while len(self._members) < self.size:
            self._members.append(await self._stack.enter_async_context(self._session()))
        return self._members

    def begin(self, share: float) -> None:
        """Let what follows take the time up to this share of it, and at least one step."""
        self._stepped = False
        if self._within is not None:
            self._until = self._began + share * self._within.seconds

    def _has_time(self) -> bool:
        """Whether a step that is as long as the longest so far would end in time."""
        return not self._stepped or time.monotonic() + self._longest < self._until

    async def each(
        self, works: Iterable[_Work], do: Callable[[Connection, _Work], Awaitable[None]]
    ) -> bool:
        """Do each step on some connection, in their order; False if time was up before the end."""
        left = iter(works)
        ahead = list(itertools.islice(left, 2))
        left = itertools.chain(ahead, left)
        stopped = False

        async def work(on: Connection) -> None:
            nonlocal stopped
            while True:
                if not self._has_time():
                    stopped = stopped or next(left, None) is not None
                    return
                if (one := next(left, None)) is None:
                    return
                self._stepped = True
                begin = time.monotonic()
                await do(on, one)
                self._longest = max(self._longest, time.monotonic() - begin)

        members = await self._all() if len(ahead) > 1 else [self.lead]
        tasks = [asyncio.create_task(work(on)) for on in members]
        try:
            await asyncio.gather(*tasks)
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.wait(tasks)
        return not stopped
