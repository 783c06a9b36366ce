"""The registry in DuckDB."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import astuple
from typing import Any

from ai_hub.definitions.vocabulary import WEATHER_COLUMNS
from ai_hub.stores.embedded.audit_log import EmbeddedAuditLog
from ai_hub.stores.embedded.session import Cursor, Sessions, transaction
from ai_hub.stores.registry_table import (
    INSTANTS,
    KEYS,
    MODELS,
    ROLLOUTS,
    SETS,
    TABLES,
    Decision,
    Heard,
    Row,
    StoredKey,
    StoredModel,
    StoredRegistry,
    StoredRollout,
    StoredSet,
    Table,
    WithoutData,
)


class EmbeddedRegistryTable:
    """The registry of one database file, which only this process changes."""

    def __init__(self, sessions: Sessions, audit_log: EmbeddedAuditLog) -> None:
        self._sessions = sessions
        self._audit_log = audit_log

    async def load(self) -> StoredRegistry:
        """All of it, as of one moment."""

        def read(cursor: Cursor) -> StoredRegistry:
            with transaction(cursor):
                return load(cursor)

        return await self._sessions.read(read)

    async def change(self, decide: Decision) -> StoredRegistry:
        """Change it in one transaction; what is there afterwards."""

        def change(cursor: Cursor) -> StoredRegistry:
            with transaction(cursor):
                before = load(cursor)
                wanted = decide(before)
                if not wanted:
                    return before
                for gone in wanted.gone:
                    _drop(cursor, TABLES[type(gone)], gone)
                for row in wanted.rows:
                    _put(cursor, TABLES[type(row)], row)
                for name, version in wanted.defaults.items():
                    cursor.execute("DELETE FROM feature_set_defaults WHERE name = ?", [name])
                    cursor.execute(
                        "INSERT INTO feature_set_defaults (name, version) VALUES (?, ?)",
                        [name, version],
                    )
                self._audit_log.write(cursor, wanted.audit)
                cursor.execute("DELETE FROM registry_revision")
                cursor.execute(
                    "INSERT INTO registry_revision (revision) VALUES (?)", [before.revision + 1]
                )
                return load(cursor)

        return await self._sessions.write(change)

    async def without_data(
        self, series: Sequence[str], weather: Sequence[str], attributes: Sequence[str]
    ) -> WithoutData:
        """Those of some series, weather columns and attributes that nobody has data of."""

        def look(cursor: Cursor) -> WithoutData:
            def none_of(table: str, where: str, *given: str) -> bool:
                query = f"SELECT 1 FROM {table} WHERE {where} LIMIT 1"
                return cursor.execute(query, given).fetchone() is None

            return WithoutData(
                frozenset(one for one in series if none_of("ai_features", "feature_type = ?", one)),
                frozenset(
                    one
                    for one in weather
                    if one in WEATHER_COLUMNS and none_of("weather_features", f"{one} IS NOT NULL")
                ),
                frozenset(one for one in attributes if none_of("asset_attributes", "key = ?", one)),
            )

        return await self._sessions.read(look)

    async def watch(self, heard: Heard) -> None:
        """Nothing to report: no other process writes to the file."""


def load(cursor: Cursor) -> StoredRegistry:
    """All of it; in a transaction, as of one moment."""
    revision = cursor.execute("SELECT max(revision) FROM registry_revision").fetchall()[0][0]
    defaults = cursor.execute("SELECT name, version FROM feature_set_defaults ORDER BY name")
    return StoredRegistry(
        revision or 0,
        defaults=dict(defaults.fetchall()),
        sets=tuple(StoredSet(*row) for row in _rows(cursor, SETS, "revision, name, version")),
        models=tuple(StoredModel(*row) for row in _rows(cursor, MODELS, "model, model_version")),
        rollouts=tuple(StoredRollout(*row) for row in _rows(cursor, ROLLOUTS, "name")),
        keys=tuple(StoredKey(*row) for row in _rows(cursor, KEYS, "created_at, key_id")),
    )


def _rows(cursor: Cursor, table: Table, order: str) -> list[tuple[Any, ...]]:
    read = ", ".join(f"epoch_us({one})" if one in INSTANTS else one for one in table.columns)
    return cursor.execute(f"SELECT {read} FROM {table.name} ORDER BY {order}").fetchall()


def _drop(cursor: Cursor, table: Table, row: Row) -> None:
    where = " AND ".join(f"{name} = ?" for name in table.key)
    cursor.execute(f"DELETE FROM {table.name} WHERE {where}", table.key_of(row))


def _put(cursor: Cursor, table: Table, row: Row) -> None:
    _drop(cursor, table, row)
    marks = ", ".join(
        "make_timestamptz(?::BIGINT)" if name in INSTANTS else "?" for name in table.columns
    )
    names = ", ".join(table.columns)
    cursor.execute(f"INSERT INTO {table.name} ({names}) VALUES ({marks})", astuple(row))
