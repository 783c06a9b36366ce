"""The embedded store's writes, in DuckDB's words: idempotent appends."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from ai_hub.definitions.values import DAY, Entity
from ai_hub.definitions.vocabulary import WEATHER_COLUMNS
from ai_hub.stores.arrays import micros_of, spans_of
from ai_hub.stores.base import Landed
from ai_hub.stores.embedded.session import Before, Cursor, registered, transaction
from ai_hub.stores.embedded.sources import SourceMap
from ai_hub.stores.touched import pairs_of, touched

if TYPE_CHECKING:
    import pyarrow as pa


_FAR_APART = DAY
"""Rows of a batch this far apart in time are looked up by themselves."""


@dataclass(frozen=True, slots=True)
class KeyedTable:
    """A table with one row for each key; a later row of a key replaces an earlier one."""

    name: str
    key: tuple[str, ...]
    values: tuple[str, ...]


OBSERVATION_TABLE = KeyedTable(
    "timeseries_data",
    ("tenant_id", "asset_id", "feature_type", "timestamp"),
    ("value", "quality"),
)
WEATHER_TABLE = KeyedTable(
    "weather_features",
    ("tenant_id", "asset_id", "timestamp", "issued_at"),
    WEATHER_COLUMNS,
)


def rehearse_write(cursor: Cursor) -> None:
    """Read an Arrow table as an append does, and write nothing."""
    import pyarrow as pa

    with registered(cursor, incoming=pa.table({"row": [0]})):
        cursor.execute("SELECT * FROM incoming").fetchall()


def append_rows(
    cursor: Cursor, into: KeyedTable, batch: pa.Table, sources: SourceMap, before: Before
) -> Landed:
    """Land one batch with unique keys in one transaction.

    Rows whose key is stored already replace it where a value differs. The batch is sorted by its
    key, so that reads of one asset touch few blocks.
    """
    if not batch.num_rows:
        return Landed(0, 0, frozenset())
    columns = ", ".join((*into.key, *into.values))
    with registered(cursor, incoming=batch), transaction(cursor):
        changed, unchanged = _stored_already(cursor, into, batch)
        fresh = batch
        if len(changed) or len(unchanged):
            stored = np.zeros(batch.num_rows, bool)
            stored[changed] = stored[unchanged] = True
            fresh = batch.filter(~stored)
        if len(changed):
            _update(cursor, into, batch.take(changed))
        if fresh.num_rows:
            with registered(cursor, fresh=fresh):
                cursor.execute(f"INSERT INTO {into.name} ({columns}) SELECT {columns} FROM fresh")
        entities = _touched(batch, into, sources)
        before(entities)
    return Landed(len(changed), len(unchanged), entities)


def _match(into: KeyedTable, stored: str, new: str) -> str:
    return " AND ".join(f"{stored}.{column} = {new}.{column}" for column in into.key)


def _stored_already(
    cursor: Cursor, into: KeyedTable, batch: pa.Table
) -> tuple[np.ndarray, np.ndarray]:
    """The rows of `incoming` that are stored with other values, and with the same ones."""
    differs = " OR ".join(f"s.{c} IS DISTINCT FROM n.{c}" for c in into.values)
    within = "timestamp BETWEEN make_timestamptz(?::BIGINT) AND make_timestamptz(?::BIGINT)"
    rows, changed = [], []
    # The bounds let DuckDB skip blocks that have no rows of these times, and one old row among new
    # ones is no reason to read what lies between.
    for first, last in spans_of(micros_of(batch["timestamp"]), _FAR_APART):
        found = cursor.execute(
            f"""
            SELECT n.row, ({differs}) AS changed
            FROM {into.name} s
            JOIN (SELECT *, row_number() OVER () - 1 AS row FROM incoming) n
              ON {_match(into, "s", "n")}
            WHERE s.{within} AND n.{within}
            """,
            [first, last, first, last],
        ).fetchnumpy()
        rows.append(np.asarray(found["row"], np.int64))
        changed.append(np.asarray(found["changed"], bool))
    every, differing = np.concatenate(rows), np.concatenate(changed)
    return every[differing], every[~differing]


def _update(cursor: Cursor, into: KeyedTable, rows: pa.Table) -> None:
    sets = ", ".join(f"{column} = c.{column}" for column in into.values)
    match = _match(into, into.name, "c")
    with registered(cursor, changed=rows):
        cursor.execute(f"UPDATE {into.name} SET {sets} FROM changed c WHERE {match}")


def _touched(batch: pa.Table, into: KeyedTable, sources: SourceMap) -> Collection[Entity]:
    pairs = pairs_of(batch)
    if into is not WEATHER_TABLE:
        return touched(pairs)
    named = zip(pairs["tenant_id"].to_pylist(), pairs["asset_id"].to_pylist(), strict=True)
    return touched(pairs, {
        Entity(tenant_id, asset_id)
        for tenant_id, source_id in named
        for asset_id in sources.assets_of(tenant_id, source_id) - {source_id}
    })  # fmt: skip
