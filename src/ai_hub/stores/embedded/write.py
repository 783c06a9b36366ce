"""The embedded store's writes, in DuckDB's words: idempotent appends."""

from __future__ import annotations

from collections.abc import Collection
from contextlib import ExitStack
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from ai_hub.definitions.values import DAY, Entity
from ai_hub.definitions.vocabulary import WEATHER_COLUMNS
from ai_hub.engines.arrays import Ints, Mask
from ai_hub.stores.arrays import micros_of, spans_of
from ai_hub.stores.base import Landed
from ai_hub.stores.embedded.session import (
    Before,
    Cursor,
    Note,
    changes_logged,
    registered,
    transaction,
    unnoted,
)
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
    ids: tuple[str, ...]
    times: tuple[str, ...]
    values: tuple[str, ...]

    @property
    def key(self) -> tuple[str, ...]:
        """The columns of which each row has others."""
        return (*self.ids, *self.times)


OBSERVATION_TABLE = KeyedTable(
    "timeseries_data",
    ("tenant_id", "asset_id", "feature_type"),
    ("timestamp",),
    ("value", "quality"),
)
WEATHER_TABLE = KeyedTable(
    "weather_features",
    ("tenant_id", "asset_id"),
    ("timestamp", "issued_at"),
    WEATHER_COLUMNS,
)


def rehearse_write(cursor: Cursor) -> None:
    """Read an Arrow table as an append does, and write nothing."""
    import pyarrow as pa

    with registered(cursor, incoming=pa.table({"row": [0]})):
        cursor.execute("SELECT * FROM incoming").fetchall()


def append_rows(
    cursor: Cursor,
    into: KeyedTable,
    batch: pa.Table,
    sources: SourceMap,
    before: Before,
    note: Note = unnoted,
) -> Landed:
    """Land one batch with unique keys in one transaction.

    Rows whose key is stored already replace it where a value differs. The batch is sorted by its
    key, so that reads of one asset touch few blocks.
    """
    if not batch.num_rows:
        return Landed(0, 0, frozenset())
    columns = ", ".join((*into.key, *into.values))
    with (
        registered(cursor, incoming=batch),
        ExitStack() as until_committed,
        transaction(cursor),
    ):
        found = _stored_already(cursor, into, batch)
        changed, fresh = found.changed(), batch
        if len(found.row):
            stored = np.zeros(batch.num_rows, bool)
            stored[found.row] = True
            fresh = batch.filter(~stored)
        if len(changed.row):
            until_committed.enter_context(changes_logged(cursor))
            _update(cursor, into, batch.take(changed.row), changed.rowid)
        if fresh.num_rows:
            with registered(cursor, fresh=fresh):
                cursor.execute(f"INSERT INTO {into.name} ({columns}) SELECT {columns} FROM fresh")
        replaced, unchanged = len(changed.row), len(found.row) - len(changed.row)
        note(cursor, replaced, unchanged)
        entities = _touched(batch, into, sources)
        before(entities)
    return Landed(replaced, unchanged, entities)


@dataclass(frozen=True, slots=True)
class _Found:
    """Rows of a batch whose key is stored: their places in the batch and in the table, and whether
    a value differs."""

    row: Ints
    rowid: Ints
    differs: Mask

    def changed(self) -> _Found:
        """Those with other values."""
        return _Found(self.row[self.differs], self.rowid[self.differs], self.differs[self.differs])


def _stored_already(cursor: Cursor, into: KeyedTable, batch: pa.Table) -> _Found:
    """The rows of `incoming` that are stored."""
    differs = " OR ".join(f"s.{c} IS DISTINCT FROM n.{c}" for c in into.values)
    within = "timestamp BETWEEN make_timestamptz(?::BIGINT) AND make_timestamptz(?::BIGINT)"
    # Of most batches some columns of the key are one value: to compare with it is several times
    # cheaper than to join by it, where corrections are scattered over all blocks.
    match, same = [f"s.{column} = n.{column}" for column in into.times], []
    for column in into.ids:
        known = batch[column].unique()
        if len(known) == 1:
            same.append(known[0].as_py())
        match.append(f"s.{column} = {'?' if len(known) == 1 else f'n.{column}'}")
    found = []
    # The bounds let DuckDB skip blocks that have no rows of these times, and one old row among new
    # ones is no reason to read what lies between.
    for first, last in spans_of(micros_of(batch["timestamp"]), _FAR_APART):
        columns = cursor.execute(
            f"""
            SELECT n.row, s.rowid, ({differs}) AS differs
            FROM {into.name} s
            JOIN (SELECT *, row_number() OVER () - 1 AS row FROM incoming) n
              ON {" AND ".join(match)}
            WHERE s.{within} AND n.{within}
            """,
            [*same, first, last, first, last],
        ).fetchnumpy()
        found.append(tuple(np.asarray(columns[name]) for name in ("row", "rowid", "differs")))
    return _Found(*(np.concatenate(column) for column in zip(*found, strict=True)))


def _update(cursor: Cursor, into: KeyedTable, rows: pa.Table, rowid: Ints) -> None:
    sets = ", ".join(f"{column} = c.{column}" for column in into.values)
    changed = rows.select(list(into.values)).append_column("place", [rowid])
    with registered(cursor, changed=changed):
        cursor.execute(f"UPDATE {into.name} AS s SET {sets} FROM changed c WHERE s.rowid = c.place")


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
