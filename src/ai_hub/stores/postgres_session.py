"""Connections to PostgreSQL: how a session is set, the pool, and what is tried again.

Times travel as whole microseconds since the epoch, both ways.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Any, TypeVar

import asyncpg

from ai_hub.config import Settings
from ai_hub.errors import StoreUnavailable
from ai_hub.stores.postgres_errors import as_ours
from ai_hub.stores.postgres_migrate import Facts, check

Connection = Any
Row = Sequence[Any]
_T = TypeVar("_T")

_PG_EPOCH = 946_684_800_000_000
"""2000-01-01 in microseconds since 1970: where PostgreSQL counts from."""
_GRACE_SECONDS = 5.0
"""The server ends a statement at its time limit; this much later we stop waiting for the server."""
_MICROS = 1_000_000

# The connection is gone, or the server is going: the same read on another connection may do.
LOST = (
    asyncpg.PostgresConnectionError,
    asyncpg.InterfaceError,
    asyncpg.AdminShutdownError,
    asyncpg.CrashShutdownError,
    asyncpg.CannotConnectNowError,
    ConnectionError,
)


def session_settings(settings: Settings, mode: str) -> dict[str, str]:
    """What every session says to the server at its start."""
    chosen = {
        "application_name": "ai-hub",
        "timezone": "UTC",
        "standard_conforming_strings": "on",
        "jit": "off",
        "max_parallel_workers_per_gather": "0",
        "statement_timeout": str(settings.statement_timeout.micros // 1_000),
    }
    if mode != "plain":
        # A plan made for any time would keep every chunk.
        chosen["plan_cache_mode"] = "force_custom_plan"
    return chosen


async def connect(settings: Settings, mode: str = "plain") -> Connection:
    """One connection, outside the pool. Raises StoreError."""
    try:
        connection = await asyncpg.connect(
            settings.database_url,
            timeout=settings.connect_timeout.micros / _MICROS,
            command_timeout=settings.statement_timeout.micros / _MICROS + _GRACE_SECONDS,
            server_settings=session_settings(settings, mode),
        )
        await _prepare(connection)
        return connection
    except (asyncpg.PostgresError, asyncpg.InterfaceError, OSError, TimeoutError) as error:
        raise as_ours(error, settings.database_url) from error


async def _prepare(connection: Connection) -> None:
    await connection.set_type_codec(
        "timestamptz",
        schema="pg_catalog",
        encoder=lambda micros: (micros - _PG_EPOCH,),
        decoder=lambda value: value[0] + _PG_EPOCH,
        format="tuple",
    )


async def _as_it_is(connection: Connection) -> None:
    """No clean-up between two users of a connection: nobody here leaves anything behind."""


class Sessions:
    """The pool of one process. `facts` is what was found on the server when it was opened.

    What is known to be asked often is prepared on each new connection before its first user.
    """

    def __init__(self, settings: Settings, facts: Facts) -> None:
        self.settings = settings
        self.facts = facts
        self._pool: Any = None
        self._known: dict[str, list[object]] = {}

    @classmethod
    async def open(cls, settings: Settings) -> Sessions:
        """Look at the server, then open the pool. Raises StoreError in one clear sentence."""
        first = await connect(settings)
        try:
            with_ours = await _told(check(first), settings)
        finally:
            await first.close()
        sessions = cls(settings, with_ours)
        await sessions._open()
        return sessions

    async def _open(self) -> None:
        settings = self.settings
        self._pool = asyncpg.create_pool(
            settings.database_url,
            min_size=1,
            max_size=settings.pool_size,
            max_inactive_connection_lifetime=0,
            timeout=settings.connect_timeout.micros / _MICROS,
            command_timeout=settings.statement_timeout.micros / _MICROS + _GRACE_SECONDS,
            server_settings=session_settings(settings, self.facts.mode),
            # A statement stays prepared, however long it is and however long ago it was.
            max_cached_statement_lifetime=0,
            max_cacheable_statement_size=0,
            init=self._warm,
            reset=_as_it_is,
        )
        await _told(self._pool, settings)

    async def grow(self) -> None:
        """Have every connection of the pool open and warm."""
        async with asyncio.TaskGroup() as group:
            there = asyncio.Barrier(self.settings.pool_size)

            async def hold() -> None:
                async with self.connection():
                    await there.wait()

            for _ in range(self.settings.pool_size):
                group.create_task(hold())

    def remember(self, text: str, arguments: list[object]) -> None:
        """Prepare this read on every connection opened from now on."""
        if len(self._known) < 64:
            self._known[text] = arguments

    async def _warm(self, connection: Connection) -> None:
        await _prepare(connection)
        for text, arguments in tuple(self._known.items()):
            await connection.fetch(text, *arguments)

    @asynccontextmanager
    async def connection(self) -> AsyncIterator[Connection]:
        """A connection of the pool, for a while; what goes wrong there comes out as StoreError."""
        wait = self.settings.connect_timeout.micros / _MICROS
        try:
            async with self._pool.acquire(timeout=wait) as connection:
                yield connection
        except (asyncpg.PostgresError, asyncpg.InterfaceError, OSError, TimeoutError) as error:
            raise as_ours(error, self.settings.database_url) from error

    async def fetch(self, text: str, arguments: Sequence[object] = ()) -> list[Row]:
        """The rows of a read; once more if its connection was lost. Raises StoreError."""

        async def read(connection: Connection) -> list[Row]:
            rows: list[Row] = await connection.fetch(text, *arguments)
            return rows

        return await self.again(read)

    async def again(self, work: Callable[[Connection], Awaitable[_T]]) -> _T:
        """Do something that is safe to repeat: once more if its connection was lost."""
        try:
            async with self.connection() as connection:
                return await work(connection)
        except StoreUnavailable as error:
            if not isinstance(error.__cause__, LOST):
                raise
        # Whatever took this connection has taken the others of the pool too.
        await self._pool.expire_connections()
        async with self.connection() as connection:
            return await work(connection)

    async def close(self) -> None:
        """Wait for what is under way, not longer than a statement may take; then let go."""
        try:
            async with asyncio.timeout(self.settings.statement_timeout.micros / _MICROS):
                await self._pool.close()
        except TimeoutError:
            self._pool.terminate()


async def _told(work: Awaitable[_T], settings: Settings) -> _T:
    try:
        return await work
    except (asyncpg.PostgresError, asyncpg.InterfaceError, OSError, TimeoutError) as error:
        raise as_ours(error, settings.database_url) from error
