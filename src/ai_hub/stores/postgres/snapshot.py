"""Queries of a PostgreSQL database that stream Arrow batches, on one snapshot or not. Blocking."""

from __future__ import annotations

import math
import re
from collections.abc import Generator, Iterator
from contextlib import closing
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pyarrow as pa
from adbc_driver_manager import Error
from adbc_driver_postgresql import StatementOptions, dbapi  # type: ignore[import-untyped]

from ai_hub.config import Settings
from ai_hub.stores.postgres import scan_sql as sql
from ai_hub.stores.postgres.errors import as_ours
from ai_hub.stores.postgres.write import EXPORTS_LOCK

_BATCH_BYTES = 4 << 20
_AT_ONCE = 500
# Both locks are taken before the snapshot and end with the connection. Chunks that are moved, put
# in order or dropped after it would lack rows for it; who puts rows in order need not wait for us.
_NO_SORTING = f"SELECT pg_advisory_lock_shared({EXPORTS_LOCK})"
_MAY_READ = (
    "SELECT name FROM unnest(ARRAY['ai_features', 'weather_features']) AS name "
    "WHERE has_table_privilege(to_regclass(name), 'SELECT')"
)
_NO_DROPPING = "LOCK TABLE {} IN ACCESS SHARE MODE"
_ROWS = re.compile(r" rows=(\d+) ")


class Stream:
    """A connection whose queries give Arrow batches. Raises StoreError."""

    def __init__(self, settings: Settings) -> None:
        self._url = settings.database_url
        try:
            self._connection = dbapi.connect(_url(settings), autocommit=True)
        except Error as error:
            raise as_ours(error, self._url) from error

    def close(self) -> None:
        """End the connection; streams must be at their end or closed."""
        self._connection.close()

    def batches(
        self, query: str | sql.Query, stream: bool = True
    ) -> Generator[pa.RecordBatch, None, None]:
        """The result in batches of some megabytes.

        What a query is given stays until the transaction ends: without one it has to be a text.

        If it is closed before its end, nothing more can be asked. `stream` is for queries
        only: other statements cannot be copied.
        """
        if isinstance(query, sql.Query):
            if query.given:
                list(self.batches(query.giving, stream=False))
            query = query.text
        options = {
            StatementOptions.BATCH_SIZE_HINT_BYTES.value: str(_BATCH_BYTES),
            StatementOptions.USE_COPY.value: "true" if stream else "false",
        }
        try:
            with self._connection.cursor(adbc_stmt_kwargs=options) as cursor:
                cursor.execute(query)
                if cursor.description:
                    with closing(cursor.fetch_record_batch()) as reader:
                        yield from reader
        except (Error, OSError) as error:
            raise as_ours(_lost(error) or error, self._url) from error

    def rows(self, query: str | sql.Query, stream: bool = True) -> Iterator[tuple[Any, ...]]:
        """The result row by row, for few rows."""
        for batch in self.batches(query, stream):
            # Of so many at a time: other threads wait while a column becomes objects.
            for first in range(0, batch.num_rows, _AT_ONCE):
                columns = batch.slice(first, _AT_ONCE).columns
                yield from zip(*(column.to_pylist() for column in columns), strict=True)


class Snapshot(Stream):
    """A connection in one read-only transaction, which ends with it. Raises StoreError."""

    def __init__(self, settings: Settings) -> None:
        super().__init__(settings)
        try:
            list(self.rows(_NO_SORTING, stream=False))
            tables = [name for (name,) in self.rows(_MAY_READ)]
            list(self.rows(sql.BEGIN, stream=False))
            for table in tables:
                list(self.rows(_NO_DROPPING.format(table), stream=False))
            list(self.rows(sql.SET))
        except BaseException:
            self.close()
            raise

    def estimate(self, query: sql.Query) -> int:
        """How many rows a query has, as the planner guesses."""
        explained = sql.Query(f"EXPLAIN {query.text}", query.given)
        (line, *_), *_ = self.rows(explained, stream=False)
        found = _ROWS.search(line)
        assert found is not None, line
        return int(found[1])


def _lost(error: Error | OSError) -> ConnectionResetError | None:
    """The loss of an open connection, of which the driver gives only a text; None if it is not."""
    if isinstance(error, Error) and error.sqlstate not in (None, "00000"):
        return None
    return ConnectionResetError(str(error).replace("[libpq] ", ""))


def _url(settings: Settings) -> str:
    """The URL with a time limit for connecting, and keep-alives while the server only sends."""
    seconds = max(2, math.ceil(settings.connect_timeout.seconds))
    wanted = {
        "connect_timeout": seconds,
        "keepalives_idle": 30,
        "keepalives_interval": 10,
        "keepalives_count": 3,
    }
    query = urlsplit(settings.database_url).query
    given = parse_qs(query)
    more = "&".join(f"{name}={value}" for name, value in wanted.items() if name not in given)
    return f"{settings.database_url}{'&' if query else '?'}{more}"
