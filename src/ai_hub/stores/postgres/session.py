"""Connections to PostgreSQL: the settings of a session, the pool, and what is tried again.

Times travel as whole microseconds since the epoch, both ways.
"""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from typing import Any, TypeVar

import asyncpg

from ai_hub.config import Settings
from ai_hub.definitions.values import DAY, Duration
from ai_hub.errors import StoreError, StoreRefused, StoreUnavailable
from ai_hub.process import Process
from ai_hub.stores.postgres.errors import FAILURES, Address, pooled, translated
from ai_hub.stores.postgres.migrate import DatabaseFacts, check
from ai_hub.stores.postgres.recovery import Recovery

Connection = Any
Row = Sequence[Any]
_T = TypeVar("_T")

POSTGRES_EPOCH = 10_957 * DAY
"""2000-01-01 in microseconds since 1970: where PostgreSQL counts from."""
_TRIES = 4
_GRACE_SECONDS = 5.0
"""The server ends a statement at its time limit; we wait for the server this much longer."""

# The connection is gone, or the server is stopping: the read may succeed on another connection.
LOST = (
    asyncpg.PostgresConnectionError,
    asyncpg.InterfaceError,
    asyncpg.InternalClientError,
    asyncpg.AdminShutdownError,
    asyncpg.CrashShutdownError,
    asyncpg.CannotConnectNowError,
    ConnectionError,
)

# Rolled back in favour of another transaction, or of what a standby replays.
CONFLICTS = (asyncpg.DeadlockDetectedError, asyncpg.SerializationError)


def session_settings(settings: Settings, mode: str, limit: Duration) -> dict[str, str]:
    """The settings of every session; `limit` is for one statement."""
    chosen = {
        "application_name": Process.of(settings).label,
        "client_min_messages": "warning",
        "timezone": "UTC",
        "standard_conforming_strings": "on",
        "jit": "off",
        "max_parallel_workers_per_gather": "0",
        # Every read here has an index, which is used also while a table is small.
        "enable_seqscan": "off",
        # A writer has to see what was committed before its last lock: see decision 0008.
        "default_transaction_isolation": "read committed",
        "statement_timeout": _milliseconds(limit),
        # A machine that vanishes in the middle of a batch must not keep its locks.
        "idle_in_transaction_session_timeout": _milliseconds(settings.statement_timeout),
    }
    if mode != "plain":
        # A generic plan would look at every chunk.
        chosen["plan_cache_mode"] = "force_custom_plan"
        # A batch of corrections anywhere in the columnstore takes a thousand rows out with each.
        chosen["timescaledb.max_tuples_decompressed_per_dml_transaction"] = "0"
    return chosen


def _milliseconds(width: Duration) -> str:
    # 0 would be no limit at all.
    return str(max(1, width.micros // 1_000))


@asynccontextmanager
async def session(settings: Settings, limit: Duration | None = None) -> AsyncIterator[Connection]:
    """One connection outside the pool, for a while. Errors come out as StoreError.

    `limit` is for one statement, if not that of the settings.
    """
    limit = limit or settings.statement_timeout
    with translated(settings.database_url):
        connection = await asyncpg.connect(
            settings.database_url,
            timeout=settings.connect_timeout.seconds,
            command_timeout=limit.seconds + _GRACE_SECONDS,
            server_settings=session_settings(settings, "plain", limit),
        )
        try:
            await _prepare(connection)
            yield connection
        finally:
            # It may be gone, or in the middle of a statement that nobody waits for.
            try:
                await connection.close(timeout=_GRACE_SECONDS)
            except FAILURES:
                connection.terminate()


@asynccontextmanager
async def snapshot(connection: Connection, tables: Sequence[str]) -> AsyncIterator[None]:
    """A transaction that reads some tables, and others, as of one snapshot.

    The tables are locked first: whoever moves rows in a way that an older snapshot cannot follow,
    waits for the lock before the move is committed (decision 0008).
    """
    async with connection.transaction(isolation="repeatable_read", readonly=True):
        if tables:
            # This takes no snapshot yet; the next statement does.
            await connection.execute(f"LOCK TABLE {', '.join(tables)} IN ACCESS SHARE MODE")
        yield


async def _prepare(connection: Connection) -> None:
    await connection.set_type_codec(
        "timestamptz",
        schema="pg_catalog",
        encoder=lambda micros: (micros - POSTGRES_EPOCH,),
        decoder=lambda value: value[0] + POSTGRES_EPOCH,
        format="tuple",
    )


async def _refuse_shared(connection: Connection, settings: Settings) -> None:
    """Raise StoreRefused where another session is given what this one has, a server process."""
    process = await connection.fetchval("SELECT pg_backend_pid()")
    # A pooler makes a number up, as it has no process yet.
    if process != connection.get_server_pid():
        async with session(settings) as other:
            if process == await other.fetchval("SELECT pg_backend_pid()"):
                raise StoreRefused(pooled(Address.of(settings.database_url).server))


async def _as_it_is(connection: Connection) -> None:
    """No reset between two users of a connection: none here leaves anything behind."""


class Sessions:
    """The pool of one process. `facts` is what was found on the server when it was opened.

    Frequent reads are prepared on each new connection before its first user. Writes take long, so
    they get at most half of the pool: the rest is for reads.
    """

    def __init__(self, settings: Settings, facts: DatabaseFacts) -> None:
        self.settings = settings
        self.facts = facts
        self.recovery = Recovery(self._renew)
        self._pool: Any = None
        self._known: dict[str, list[object]] = {}
        self._writers = asyncio.Semaphore(max(1, settings.pool_size // 2))
        self._closed = False

    @classmethod
    async def open(cls, settings: Settings) -> Sessions:
        """Look at the server, then open the pool. Raises StoreError in one clear sentence."""
        async with session(settings) as first:
            facts = await check(first)
            await _refuse_shared(first, settings)
            sessions = cls(settings, facts)
            await sessions.recovery.look(first)
        with translated(settings.database_url):
            await sessions._open()
        return sessions

    async def _open(self) -> None:
        settings = self.settings
        self._pool = asyncpg.create_pool(
            settings.database_url,
            # None is opened before it is needed: `grow` opens them all, for a server.
            min_size=0,
            max_size=settings.pool_size,
            max_inactive_connection_lifetime=0,
            timeout=settings.connect_timeout.seconds,
            command_timeout=settings.statement_timeout.seconds + _GRACE_SECONDS,
            server_settings=session_settings(settings, self.facts.mode, settings.statement_timeout),
            # A statement stays prepared, however long it is and however long ago it was.
            max_cached_statement_lifetime=0,
            max_cacheable_statement_size=0,
            init=self._warm,
            reset=_as_it_is,
        )
        await self._pool

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
        # Before anything is read there: it would be kept.
        await self.recovery.look(connection)
        for text, arguments in tuple(self._known.items()):
            # An error of one statement is for those who ask for it, and for nobody else.
            with suppress(asyncpg.PostgresError):
                await connection.fetch(text, *arguments)

    @asynccontextmanager
    async def connection(self) -> AsyncIterator[Connection]:
        """A connection of the pool, for a while. Errors come out as StoreError."""
        self.check_open()
        wait = self.settings.connect_timeout.seconds
        with translated(self.settings.database_url):
            async with self._pool.acquire(timeout=wait) as connection:
                yield connection

    @asynccontextmanager
    async def writing(self) -> AsyncIterator[Connection]:
        """A connection for a write, once earlier writes leave one."""
        with translated(self.settings.database_url):
            async with asyncio.timeout(self.settings.statement_timeout.seconds):
                await self._writers.acquire()
        try:
            async with self.connection() as connection:
                yield connection
        finally:
            self._writers.release()

    async def write(self, work: Callable[[Connection], Awaitable[_T]]) -> _T:
        """Do a transaction; again if it was rolled back for a conflict with another one."""
        for left in itertools.count(_TRIES - 1, -1):
            try:
                async with self.writing() as connection:
                    return await work(connection)
            except StoreError as error:
                if not isinstance(error.__cause__, CONFLICTS) or left <= 0:
                    raise
        raise AssertionError("the loop ends by return or raise")

    async def fetch(self, text: str, arguments: Sequence[object] = ()) -> list[Row]:
        """The rows of a read; once more if its connection was lost. Raises StoreError."""

        async def read(connection: Connection) -> list[Row]:
            rows: list[Row] = await connection.fetch(text, *arguments)
            return rows

        return await self.again(read)

    async def fetch_in_snapshot(
        self, text: str, arguments: Sequence[object], tables: Sequence[str]
    ) -> list[Row]:
        """The rows of a read of some tables, planned and answered as of one snapshot.

        Raises StoreError.
        """

        async def read(connection: Connection) -> list[Row]:
            rows: list[Row] = await connection.fetch(text, *arguments)
            return rows

        return await self.in_snapshot(read, tables)

    async def in_snapshot(
        self, work: Callable[[Connection], Awaitable[_T]], tables: Sequence[str]
    ) -> _T:
        """Reads of some tables as of one snapshot; once more if the connection was lost."""

        async def read(connection: Connection) -> _T:
            async with snapshot(connection, tables):
                return await work(connection)

        return await self.again(read)

    async def again(self, work: Callable[[Connection], Awaitable[_T]]) -> _T:
        """Do something that is safe to repeat: once more if its connection was lost, or a standby
        ended it."""
        try:
            async with self.connection() as connection:
                return await work(connection)
        except StoreUnavailable as error:
            if isinstance(error.__cause__, LOST):
                # Whatever ended this connection has ended the others of the pool too.
                await self._renew()
            elif not isinstance(error.__cause__, CONFLICTS):
                raise
        async with self.connection() as connection:
            return await work(connection)

    async def _renew(self) -> None:
        """Give no connection that is open now to anybody else."""
        await self._pool.expire_connections()

    def check_open(self) -> None:
        """Raise StoreUnavailable after `close`."""
        if self._closed:
            raise StoreUnavailable("the store is closed")

    async def close(self) -> None:
        """Wait for what is under way, no longer than a statement may take; then close the pool."""
        if self._closed:
            return
        self._closed = True
        try:
            async with asyncio.timeout(self.settings.statement_timeout.seconds):
                await self._pool.close()
        except TimeoutError:
            self._pool.terminate()
