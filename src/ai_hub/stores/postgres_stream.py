"""One snapshot of a PostgreSQL database, whose queries stream as Arrow batches. Blocking."""

from __future__ import annotations

import re
from collections.abc import Generator, Iterator
from contextlib import closing
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pyarrow as pa
from adbc_driver_manager import Error
from adbc_driver_postgresql import StatementOptions, dbapi  # type: ignore[import-untyped]

from ai_hub.config import Settings, masked
from ai_hub.errors import NotMigrated, StoreError, StoreRefused, StoreUnavailable
from ai_hub.stores import postgres_scan_sql as sql

_BATCH_BYTES = 4 << 20
_SECOND = 1_000_000
_ROWS = re.compile(r" rows=(\d+) ")


class Snapshot:
    """A connection in one read-only transaction. Raises StoreError."""

    def __init__(self, settings: Settings) -> None:
        self._name = masked(settings.database_url)
        try:
            self._connection = dbapi.connect(_url(settings), autocommit=True)
        except (Error, OSError) as error:
            raise self._ours(error) from error
        try:
            for _ in self.batches(sql.SESSION):
                pass
            for _ in self.batches(sql.BEGIN, stream=False):
                pass
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """End the transaction and the connection; streams must be at their end or closed."""
        self._connection.close()

    def batches(self, query: str, stream: bool = True) -> Generator[pa.RecordBatch, None, None]:
        """The result in batches of some megabytes. Close it if it is not read to its end."""
        options = {
            StatementOptions.BATCH_SIZE_HINT_BYTES.value: str(_BATCH_BYTES),
            # What is not a query cannot be copied.
            StatementOptions.USE_COPY.value: "true" if stream else "false",
        }
        ended = False
        try:
            with self._connection.cursor(adbc_stmt_kwargs=options) as cursor:
                cursor.execute(query)
                if cursor.description:
                    with closing(cursor.fetch_record_batch()) as reader:
                        try:
                            yield from reader
                            ended = True
                        finally:
                            if not ended:
                                cursor.adbc_cancel()
        except (Error, OSError) as error:
            raise self._ours(error) from error

    def rows(self, query: str) -> Iterator[tuple[Any, ...]]:
        """The result row by row, for what is not many rows."""
        for batch in self.batches(query):
            yield from zip(*(column.to_pylist() for column in batch.columns), strict=True)

    def estimate(self, query: str) -> int:
        """How many rows a query has, as the planner guesses."""
        first = next(iter(self.batches(sql.ESTIMATE + query, stream=False)))
        found = _ROWS.search(str(first.column(0)[0]))
        assert found is not None
        return int(found[1])

    def _ours(self, error: Exception) -> StoreError:
        """An error of the driver as one of ours; it quotes the query, which may be very long."""
        text = str(error).partition("Query was:")[0]
        text = " ".join(text.replace("[libpq] ", "").split())
        state = getattr(error, "sqlstate", None) or ""
        message = f"{self._name}: {text}"
        if state == "42P01":
            return NotMigrated(f"{message}. Run `ai-hub migrate`.")
        if state == "42501":
            return StoreRefused(message)
        return StoreUnavailable(message)


def _url(settings: Settings) -> str:
    """The URL with a limit to connecting, and with signs of life from a server that only sends."""
    seconds = max(2, -(-settings.connect_timeout.micros // _SECOND))
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
