"""The registry in PostgreSQL: one change at a time, of which every process hears."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import astuple

from ai_hub.config import Settings
from ai_hub.definitions.vocabulary import WEATHER_COLUMNS
from ai_hub.errors import StoreError, StoreUnavailable
from ai_hub.stores.postgres.audit_log import write_audit
from ai_hub.stores.postgres.recovery import is_standby
from ai_hub.stores.postgres.session import Connection, Sessions, session
from ai_hub.stores.registry_table import (
    KEYS,
    MODELS,
    ROLLOUTS,
    SETS,
    TABLES,
    Decision,
    Heard,
    StoredKey,
    StoredModel,
    StoredRegistry,
    StoredRollout,
    StoredSet,
    Table,
    WithoutData,
)

_log = logging.getLogger(__name__)

CHANNEL = "ai_hub_registry"
LOCK = 7_248_003_012
"""The advisory lock of a change: others wait, and see what it left."""
_PAUSE_SECONDS = 0.3
"""Between two looks at the revision: a notice may be lost, and a pooler passes none on."""
_PATIENCE_SECONDS = 0.4
"""A connection that takes longer for that is taken for dead, and another one looks at once: with
the pause before it that is less than the second that is promised."""

_DEFAULT = (
    "INSERT INTO feature_set_defaults (name, version) VALUES ($1, $2) "
    "ON CONFLICT (name) DO UPDATE SET version = excluded.version"
)
_FEATURES, _WEATHER, _ATTRIBUTES = "ai_features", "weather_features", "asset_attributes"
_OF_SERIES = "feature_type = $1"
_MOMENT = 1_000
"""Milliseconds of a look at what there is data of."""
_REVISION = "SELECT revision FROM registry_revision"


class PostgresRegistryTable:
    """The registry of a database, and the connection on which this process hears of its changes."""

    def __init__(self, settings: Settings, sessions: Sessions) -> None:
        self._settings = settings
        self._sessions = sessions
        self._known = -1
        self._task: asyncio.Task[None] | None = None

    async def load(self) -> StoredRegistry:
        """All of it, as of one moment."""
        return await self._sessions.again(load)

    async def change(self, decide: Decision) -> StoredRegistry:
        """Change it in one transaction, alone; what is there afterwards."""

        async def change(on: Connection) -> StoredRegistry:
            async with on.transaction():
                await on.execute("SELECT pg_advisory_xact_lock($1)", LOCK)
                before = await _read(on)
                wanted = await asyncio.to_thread(decide, before)
                if not wanted:
                    return before
                for gone in wanted.gone:
                    table = TABLES[type(gone)]
                    await on.execute(_drop(table), *table.key_of(gone))
                for row in wanted.rows:
                    await on.execute(_put(TABLES[type(row)]), *astuple(row))
                for name, version in wanted.defaults.items():
                    await on.execute(_DEFAULT, name, version)
                await write_audit(on, wanted.audit)
                await on.execute("UPDATE registry_revision SET revision = revision + 1")
                # It goes out with the commit.
                await on.execute("SELECT pg_notify($1, $2)", CHANNEL, str(before.revision + 1))
                return await _read(on)

        return await self._sessions.write(change)

    async def without_data(
        self, series: Sequence[str], weather: Sequence[str], attributes: Sequence[str]
    ) -> WithoutData:
        """Those of some series, weather columns and attributes that nobody has data of.

        No index leads to them: what is not found in a moment is taken to be there.
        """
        wanted = [one for one in weather if one in WEATHER_COLUMNS]
        return WithoutData(
            frozenset([s for s in series if await self._none(_FEATURES, _OF_SERIES, s)]),
            frozenset([w for w in wanted if await self._none(_WEATHER, f"{w} IS NOT NULL")]),
            frozenset([a for a in attributes if await self._none(_ATTRIBUTES, "key = $1", a)]),
        )

    async def _none(self, table: str, where: str, *given: str) -> bool:
        async def look(on: Connection) -> bool:
            async with on.transaction(readonly=True):
                await on.execute(f"SET LOCAL statement_timeout = {_MOMENT}")
                await on.execute("SET LOCAL enable_seqscan = on")
                found = await on.fetch(f"SELECT FROM {table} WHERE {where} LIMIT 1", *given)
                return not found

        try:
            return await self._sessions.again(look)
        except StoreUnavailable:
            return False

    async def watch(self, heard: Heard) -> None:
        """Report how it is, and what other processes change from now on, within a second."""
        self._task = self._task or asyncio.create_task(self._watch(heard))

    async def close(self) -> None:
        """Watch no longer."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait([self._task])

    async def _watch(self, heard: Heard) -> None:
        while True:
            begin = time.monotonic()
            # While the database is away what is known holds on.
            with suppress(StoreError):
                async with session(self._settings) as connection:
                    await self._look(connection, heard)
            # Not more often than that, also where no connection lasts.
            await asyncio.sleep(begin + _PAUSE_SECONDS - time.monotonic())

    async def _look(self, connection: Connection, heard: Heard) -> None:
        """Look at the revision at every notice, and without one now and then."""
        told = asyncio.Event()
        if not await is_standby(connection):
            await connection.add_listener(CHANNEL, lambda *_: told.set())
        while True:
            try:
                revision = await connection.fetchval(_REVISION, timeout=_PATIENCE_SECONDS)
            except TimeoutError:
                # To close it in peace would wait for it again.
                connection.terminate()
                raise
            if revision != self._known:
                found = await load(connection)
                self._known = found.revision
                await _tell(heard, found)
            with suppress(TimeoutError):
                async with asyncio.timeout(_PAUSE_SECONDS):
                    await told.wait()
            told.clear()


async def _tell(heard: Heard, found: StoredRegistry) -> None:
    try:
        await heard(found)
    except StoreError as error:
        # A newer release has changed it: this one goes on with what it knows.
        _log.error("registry unread", extra={"revision": found.revision, "why": str(error)})


async def load(connection: Connection) -> StoredRegistry:
    """All of it, as of one moment."""
    async with connection.transaction(isolation="repeatable_read", readonly=True):
        return await _read(connection)


async def _read(connection: Connection) -> StoredRegistry:
    revision = await connection.fetchval(_REVISION)
    defaults = await connection.fetch("SELECT name, version FROM feature_set_defaults")
    sets = await connection.fetch(f"{_select(SETS)} ORDER BY revision, name, version")
    models = await connection.fetch(f"{_select(MODELS)} ORDER BY model, model_version")
    rollouts = await connection.fetch(f"{_select(ROLLOUTS)} ORDER BY name")
    keys = await connection.fetch(f"{_select(KEYS)} ORDER BY created_at, key_id")
    return StoredRegistry(
        revision or 0,
        tuple(StoredSet(*row) for row in sets),
        {row["name"]: row["version"] for row in sorted(defaults)},
        tuple(StoredModel(*row) for row in models),
        tuple(StoredRollout(*row) for row in rollouts),
        tuple(StoredKey(*row) for row in keys),
    )


def _select(table: Table) -> str:
    return f"SELECT {', '.join(table.columns)} FROM {table.name}"


def _drop(table: Table) -> str:
    where = " AND ".join(f"{name} = ${place}" for place, name in enumerate(table.key, 1))
    return f"DELETE FROM {table.name} WHERE {where}"


def _put(table: Table) -> str:
    marks = ", ".join(f"${place}" for place in range(1, len(table.columns) + 1))
    rest = ", ".join(f"{one} = excluded.{one}" for one in table.columns[table.key_columns :])
    return (
        f"INSERT INTO {table.name} ({', '.join(table.columns)}) VALUES ({marks}) "
        f"ON CONFLICT ({', '.join(table.key)}) DO UPDATE SET {rest}"
    )
