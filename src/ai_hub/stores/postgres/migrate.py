"""Migrates a PostgreSQL database, and checks that one is migrated."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import asyncpg

from ai_hub.config import Settings
from ai_hub.definitions.values import Duration
from ai_hub.errors import NoDatabase, StoreRefused
from ai_hub.stores.postgres.errors import translated
from ai_hub.stores.postgres.migrations import (
    FOREIGN,
    FOREIGN_RELATIONS,
    LOCK,
    MIGRATIONS_TABLE,
    MISSING,
    OTHER_OWNER,
    OWNERS,
    PROBE,
    RESTATED,
    RETENTION_MIGRATION,
    RETENTION_SETTINGS,
    Applied,
    Mode,
    ServerFacts,
    check_complete,
    declarations,
    pending,
    retention_of,
    said,
    stored_relations,
)
from ai_hub.stores.postgres.warnings import Warned, doubled_functions, foreign_policies

_APPLIED = "SELECT number, name, checksum, mode FROM ai_hub_migrations ORDER BY number"
# A Duration is at most a hundred years: rows that are kept for longer are kept for ever.
_KEPT = """
SELECT relation, CASE WHEN keep <= INTERVAL '100 years'
  THEN (extract(epoch FROM keep) * 1000000)::bigint END
FROM ai_hub_retention
"""
# The column came with migration 014, which a dry run may find missing.
_SET = """
SELECT relation FROM ai_hub_retention AS r WHERE to_jsonb(r)->>'set_at' IS NOT NULL
"""
_HAS_EXTENSION = (
    "The server has the extension timescaledb installed, but this database is migrated for plain "
    "PostgreSQL, since the extension is not created in it. To use it, run CREATE EXTENSION "
    "timescaledb in a new database and migrate that one."
)


@dataclass(frozen=True, slots=True)
class DatabaseFacts:
    """What is known of a migrated database when it is opened."""

    mode: Mode
    server_version: str
    extension_version: str | None
    keep: Mapping[str, Duration | None]


@dataclass(frozen=True, slots=True)
class Report:
    """What a migration did; in a dry run `sql` is what it would have run."""

    mode: Mode
    server_version: str
    extension_version: str | None
    applied: tuple[str, ...]
    keep: Mapping[str, Duration | None]
    notes: tuple[str, ...] = ()
    sql: str | None = None


async def migrate(url: str, settings: Settings | None = None, dry_run: bool = False) -> Report:
    """Bring a database to this release, and declare how long rows are kept.

    Each migration and its row in ai_hub_migrations are one transaction. Raises StoreError.
    """
    chosen = settings or Settings(database_url=url)
    with translated(url):
        connection = await asyncpg.connect(
            url,
            timeout=chosen.connect_timeout.seconds,
            server_settings={
                "application_name": "ai-hub migrate",
                "client_min_messages": "warning",
                "standard_conforming_strings": "on",
                # Building an index takes long on a large table, and so may waiting for a migration.
                "statement_timeout": "0",
                "timezone": "UTC",
                "intervalstyle": "postgres",  # policies keep their intervals as text
            },
        )
        try:
            if not dry_run:
                await connection.execute("SELECT pg_advisory_lock($1)", LOCK)
            return await _migrated(connection, chosen, dry_run)
        finally:
            # The lock ends with the session, also where the server is gone.
            await connection.close()


async def _migrated(connection: Any, settings: Settings, dry_run: bool) -> Report:
    server = await _probe(connection)
    server.check()
    if owners := await connection.fetchrow(OWNERS):
        raise StoreRefused(said(OTHER_OWNER, *owners))
    mode = server.mode
    applied = await _applied(connection) if server.migrated else []
    left = pending(applied, mode)
    if not applied and (found := await connection.fetchval(FOREIGN_RELATIONS)):
        raise StoreRefused(said(FOREIGN, found))
    steps = [MIGRATIONS_TABLE] if not server.migrated else []
    steps += [one.sql(mode) + one.done(f"'{mode}'") for one in left]
    steps.append(declarations(stored_relations(mode), settings) + RESTATED)
    keep = {name: retention_of(name, settings) for name in stored_relations(mode)}
    put_back: list[Warned] = []
    if any(row.number == RETENTION_MIGRATION for row in applied):
        keep |= await _kept(connection, settings)
        put_back = await foreign_policies(connection, mode)
    if not dry_run:
        for step in steps:
            async with connection.transaction():
                await connection.execute(step)
    notes = [f"{one.wrong}: it is put back as declared" for one in put_back]
    notes += map(str, await doubled_functions(connection))
    if not applied and server.extension_installed and mode == "plain":
        notes.append(_HAS_EXTENSION)
    return Report(
        mode,
        server.server_version,
        server.extension_version,
        tuple(one.name for one in left),
        keep,
        tuple(notes),
        "\n".join(f"BEGIN;\n{step}COMMIT;\n" for step in steps) if dry_run else None,
    )


async def check(connection: Any) -> DatabaseFacts:
    """What the database of an open connection is.

    Raises NotMigrated where `ai-hub migrate` has something to do, StoreRefused for a server that
    this release does not work with; errors of the driver come out as they are.
    """
    server = await _probe(connection)
    server.check()
    if not server.migrated:
        raise NoDatabase(MISSING)
    applied = await _applied(connection)
    if not applied:
        raise NoDatabase(MISSING)
    check_complete(applied, server.mode)
    keep = await _declared(connection)
    return DatabaseFacts(server.mode, server.server_version, server.extension_version, keep)


async def _declared(connection: Any) -> dict[str, Duration | None]:
    return {
        relation: None if micros is None else Duration(micros)
        for relation, micros in await connection.fetch(_KEPT)
    }


async def _kept(connection: Any, settings: Settings) -> dict[str, Duration | None]:
    """What a migrated database declares once the settings have been heard."""
    keep = await _declared(connection)
    stands = {relation for (relation,) in await connection.fetch(_SET)}
    return {
        relation: retention_of(relation, settings)
        if settings.says(RETENTION_SETTINGS[relation]) and relation not in stands
        else kept
        for relation, kept in keep.items()
    }


async def _probe(connection: Any) -> ServerFacts:
    return ServerFacts(**await connection.fetchrow(PROBE))


async def _applied(connection: Any) -> list[Applied]:
    return [Applied(**row) for row in await connection.fetch(_APPLIED)]
