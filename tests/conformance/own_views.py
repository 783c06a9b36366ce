"""Statements of a user in a database: tables, rows and views that are none of ours."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import closing
from typing import Any

import asyncpg

from ai_hub import FeatureStore
from ai_hub.definitions.values import to_datetime
from ai_hub.stores.embedded.session import translated
from ai_hub.stores.embedded.store import EmbeddedStore

KEYS = "timestamp TIMESTAMPTZ, tenant_id VARCHAR, asset_id VARCHAR"


async def execute(store: FeatureStore, *statements: str) -> None:
    """Run statements in the store's database, past the store."""
    held = store._open.store
    if isinstance(held, EmbeddedStore):
        with closing(held._sessions.cursor()) as cursor, translated():
            for statement in statements:
                cursor.execute(statement)
        return
    connection = await asyncpg.connect(store.settings.database_url)
    try:
        for statement in statements:
            await connection.execute(statement)
    finally:
        await connection.close()


def literal(value: Any) -> str:
    """A value as a row has it: a number that is none too."""
    if value is None:
        return "NULL"
    if isinstance(value, bool):
        return str(value)
    if isinstance(value, float):
        return f"'{value!r}'::float8"
    return "'" + str(value).replace("'", "''") + "'"


def row(at: int, tenant_id: str, asset_id: str, *values: Any) -> str:
    """A row of VALUES."""
    inside = (
        f"TIMESTAMPTZ '{to_datetime(at).isoformat()}'",
        *map(literal, (tenant_id, asset_id, *values)),
    )
    return f"({', '.join(inside)})"


def insert(table: str, rows: Sequence[str]) -> list[str]:
    """What adds rows to a table, if there are any."""
    return [f"INSERT INTO {table} VALUES {', '.join(rows)}"] if rows else []
