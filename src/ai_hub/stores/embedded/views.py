"""Users' own views in DuckDB: what they are, and their rows."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager

import duckdb
import numpy as np

from ai_hub.engines.arrays import Series, ViewColumn
from ai_hub.engines.plan import ViewReads
from ai_hub.engines.sql_views import has_number, number, quoted
from ai_hub.engines.views import Fault, view_series
from ai_hub.stores.embedded.chosen import of_ids
from ai_hub.stores.embedded.session import Cursor, Sessions, transaction
from ai_hub.stores.views import (
    Column,
    ColumnKind,
    ViewFacts,
    ViewFault,
    digest_of,
    fault_of,
    refusal_of,
)

_KINDS: dict[str, ColumnKind] = {
    "TIMESTAMP WITH TIME ZONE": "time",
    "VARCHAR": "text",
    "BOOLEAN": "boolean",
    **dict.fromkeys(("TINYINT", "SMALLINT", "INTEGER", "BIGINT", "HUGEINT"), "number"),
    **dict.fromkeys(("UTINYINT", "USMALLINT", "UINTEGER", "UBIGINT", "UHUGEINT"), "number"),
    **dict.fromkeys(("FLOAT", "DOUBLE"), "number"),
}
_ANY_ASSET = "SELECT tenant_id, asset_id, epoch_us(timestamp) FROM ai_features LIMIT 1"


class EmbeddedViews:
    """The views of one database file. One answer waits for one of them `limit` seconds at most."""

    def __init__(self, sessions: Sessions, limit: float) -> None:
        self._sessions = sessions
        self._limit = limit

    async def facts(self, names: Iterable[str]) -> dict[str, ViewFacts]:
        """Those of some views and tables that are there."""
        wanted = tuple(names)

        def look(cursor: Cursor) -> dict[str, ViewFacts]:
            found = {name: facts_of(cursor, name) for name in wanted}
            return {name: facts for name, facts in found.items() if facts is not None}

        return await self._sessions.read(look)

    async def probe(self, reads: ViewReads) -> Fault | None:
        """Read it as an answer does, of an asset that there is: why it has no value, if so."""

        def look(cursor: Cursor) -> Fault | None:
            tenant_id, asset_id, at = cursor.execute(_ANY_ASSET).fetchone() or ("", "", 0)
            try:
                with transaction(cursor):
                    self.newest(cursor, [reads], tenant_id, [asset_id], at)
            except ViewFault as found:
                return found.fault
            return None

        return await self._sessions.read(look)

    def newest(
        self,
        cursor: Cursor,
        wanted: Sequence[ViewReads],
        tenant_id: str,
        asset_ids: Sequence[str],
        at: int,
    ) -> dict[ViewColumn, Series]:
        """The newest rows of some views up to `at`, in a transaction.

        Raises ViewFault for the first that has none: the transaction cannot go on then.
        """
        found: dict[ViewColumn, Series] = {}
        for reads in wanted:
            check_reads(cursor, reads)
            first = at - reads.lookback
            with limited(cursor, reads.view, self._limit):
                found |= read_view(cursor, reads, tenant_id, asset_ids, first, at, newest=True)
        return found


def facts_of(cursor: Cursor, name: str) -> ViewFacts | None:
    """What a view or table is; None if there is none of that name."""
    schema, _, relation = name.rpartition(".")
    schema = (schema or "main").lower()
    views = {
        (schema_name.lower(), view_name.lower()): sql
        for schema_name, view_name, sql in cursor.execute(
            "SELECT schema_name, view_name, sql FROM duckdb_views() WHERE NOT internal"
        ).fetchall()
    }
    itself = (schema, relation.lower())
    if itself not in views:
        there = cursor.execute(
            "SELECT 1 FROM duckdb_tables() WHERE lower(schema_name) = ? AND lower(table_name) = ?",
            itself,
        ).fetchone()
        if there is None:
            return None
    columns = cursor.execute(f"DESCRIBE SELECT * FROM {quoted(name)}").fetchall()
    kinds = {one: Column(_kind(of), of) for one, of, *_ in columns}
    said: object = [*map(list, _texts(views, itself))] if itself in views else columns
    return ViewFacts(digest_of([itself, said]), kinds)


def check_reads(cursor: Cursor, reads: ViewReads) -> None:
    """Raise ViewFault for a view that has no value, by what it is now."""
    try:
        fault = fault_of(reads, facts_of(cursor, reads.view))
    except duckdb.Error:
        # What it reads is gone.
        fault = "failed"
    if fault is not None:
        raise ViewFault(reads.view, fault)


def check_whole(cursor: Cursor, reads: ViewReads) -> None:
    """Raise StoreRefused for a view of which nothing can be read in bulk."""
    try:
        check_reads(cursor, reads)
    except ViewFault as found:
        raise refusal_of(reads, found.fault) from found


def read_view(
    cursor: Cursor,
    reads: ViewReads,
    tenant_id: str,
    asset_ids: Sequence[str],
    first: int,
    last: int,
    newest: bool = False,
) -> dict[ViewColumn, Series]:
    """The rows of a view later than `first`, up to `last`, by its columns: assets coded by place.

    `newest`: of each asset those of its latest time alone.
    """
    code, join, parameters = of_ids(asset_ids)
    # In DuckDB true and false are numbers as they are.
    values = ", ".join(number(column, is_boolean=False) for column in reads.columns)
    rows = f"""
        SELECT {code} AS code, epoch_us(o.timestamp) AS time,
               unnest(range({len(reads.columns)})) AS place, unnest([{values}]) AS value
        FROM {quoted(reads.view)} o {join} AND o.tenant_id = ?
          AND o.timestamp > make_timestamptz(?::BIGINT)
          AND o.timestamp <= make_timestamptz(?::BIGINT)
    """
    last_alone = "QUALIFY rank() OVER (PARTITION BY code, place ORDER BY time DESC) = 1"
    found = cursor.execute(
        f"SELECT * FROM ({rows}) WHERE {has_number('value')} {last_alone if newest else ''}",
        [*parameters, tenant_id, first, last],
    ).fetchnumpy()
    held = {name: np.ma.getdata(column) for name, column in found.items()}
    series: dict[ViewColumn, Series] = {}
    for place, column in enumerate(reads.columns):
        mine = held["place"] == place
        series[reads.view, column] = view_series(
            held["code"][mine], held["time"][mine], held["value"][mine]
        )
    return series


def _kind(of: str) -> ColumnKind:
    return "number" if of.startswith("DECIMAL") else _KINDS.get(of, "other")


def _texts(
    views: dict[tuple[str, str], str], itself: tuple[str, str]
) -> list[tuple[str, str, str]]:
    """The text of a view and of those whose names stand in it, and so on: rather one too many."""
    found = [itself]
    for known in found:
        text = views[known].lower()
        found += [other for other in views if other not in found and other[1] in text]
    return sorted((*one, views[one]) for one in found)


@contextmanager
def limited(cursor: Cursor, view: str, seconds: float) -> Iterator[None]:
    """Read a view, no longer than that. Raises ViewFault."""
    timer = threading.Timer(seconds, cursor.interrupt)
    timer.start()
    try:
        yield
    except duckdb.InterruptException as error:
        raise ViewFault(view, "slow") from error
    except duckdb.Error as error:
        raise ViewFault(view, "failed") from error
    finally:
        timer.cancel()
        timer.join()
